"""What of a reference is trained on, and what is kept to measure with."""

from dynmatch.sites.trajectory import SiteTrajectory

SCORING_PART = 1 / 3
"""Of a single replica, its end, that is kept to measure with."""


def training_part(trajectory: SiteTrajectory) -> SiteTrajectory:
    """All replicas but the last; of a single one, all but its end."""
    return trajectory.frames(slice(None, _first_of_scoring(trajectory)))


def scoring_part(trajectory: SiteTrajectory) -> SiteTrajectory:
    """The last replica, or the end of a single one: no model is trained on it."""
    return trajectory.frames(slice(_first_of_scoring(trajectory), None))


def _first_of_scoring(trajectory: SiteTrajectory) -> int:
    replicas = trajectory.replicas()
    if len(replicas) == 1:
        return round((1 - SCORING_PART) * trajectory.n_frames)
    return trajectory.n_frames - replicas[-1].n_frames
