"""How many cases hypothesis generates, and that every run generates the same."""

import os

from hypothesis import HealthCheck, settings


def lenient(examples: int) -> settings:
    """Of so many examples, or of DYNMATCH_EXAMPLES; fixtures and slow cases are no fault."""
    return settings(
        max_examples=int(os.environ.get("DYNMATCH_EXAMPLES", str(examples))),
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
