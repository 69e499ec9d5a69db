"""Figures by name: the function that draws each, the tables it needs, its caption.

Names stand here, not imports: a figure is drawn again with the functions that it rests on, and with
no others. To add one, write its function and give it a card here (docs/extending.md).
"""

from collections.abc import Collection
from dataclasses import dataclass

from dynmatch.observables.registry import OBSERVABLES, Analysis
from dynmatch.runtime.names import module_of


@dataclass(frozen=True)
class Table:
    """A table of every training: its file beside the model, and the columns it has at least.

    Those in `of_some` are there with some dynamics, and filled with NaN for the others.
    """

    file: str
    columns: tuple[str, ...]
    of_some: tuple[str, ...] = ()


TABLES = {
    "history": Table(
        "history.csv",
        (
            "update",
            "score_gap",
            "gap_floor",
            "d0_nm2_per_ps",
            "gamma_over_alpha",
            "gradient_norm",
            "classifier_loss",
            "heldout_loss",
            "roughness",
        ),
        of_some=("mass_over_alpha2",),
    ),
    "start": Table("start.csv", ("update", "rdf_error")),
    "model": Table(
        "model.yaml",
        ("d0_nm2_per_ps", "gamma_over_alpha", "status", "updates", "minutes"),
        of_some=("mass_over_alpha2",),
    ),
}
"""Tables of the training, beside those of the observables."""
TRAINING_PART = "training_part"
"""Folder of the observables of that part of a reference, and the name of its rows in tables."""
SUMMARY = "summary"
"""The table of all systems."""
TRUTH, TYPES, MEMORY = "truth", "types", "memory"
"""What a system may have: true parameters that are known, sites of several types, and models with a
memory kernel."""


@dataclass(frozen=True)
class Figure:
    """A figure of one system.

    function  dotted name of the function of a `tables.Results` that draws it
    tables    names of observables, of TABLES, or SUMMARY
    caption   a template of the sections of the system's config, and `notes` of its observables
    needs     what a system has to have beside its tables
    sampling  whether the caption goes on about the samples behind means and errors
    """

    function: str
    tables: tuple[str, ...]
    caption: str
    needs: tuple[str, ...] = ()
    sampling: bool = True

    @property
    def module(self) -> str:
        """Dotted name of the module that draws it."""
        return module_of(self.function)


FIGURES = {
    "overview": Figure(
        "dynmatch.plotting.overview.overview",
        ("rdf", "adf", "msd", "diffusion", "scattering", "free_energy_r_theta", "history"),
        "Overview: radial distribution function; distribution of cos(theta), theta the angle "
        "between two neighbours within {observables[shell_cutoff]} nm; mean squared displacement "
        "(MSD) with diffusion constants over that of the reference, D of this box; incoherent "
        "scattering functions F_s(k, t); free energy of distance and angle, a contour line every "
        "kB T; course of D0 = kB T alpha/gamma in the training, the planned number of updates "
        "dotted. Shaded: lags that the training saw. Triangles: a curve leaves the panel.",
    ),
    "diagnostics": Figure(
        "dynmatch.plotting.diagnostics.diagnostics",
        ("history", "start", "model"),
        "Course of the training: structural start, score gap of the classifier with its floor (the "
        "gap between two halves of held-out reference windows), learned parameters, and norm of "
        "the gradient.",
        sampling=False,
    ),
    "rdf": Figure(
        "dynmatch.plotting.structure.rdf",
        ("rdf",),
        "Radial distribution function g(r), and its difference from the reference.",
    ),
    "adf": Figure(
        "dynmatch.plotting.structure.profile",
        ("adf",),
        "Distribution of cos(theta), theta the angle between two neighbours in the first shell, "
        "within {observables[shell_cutoff]} nm, and its difference from the reference.",
    ),
    "tetrahedral": Figure(
        "dynmatch.plotting.structure.tetrahedral",
        ("tetrahedral",),
        "Distribution of the tetrahedral order parameter q of the four nearest neighbours.",
    ),
    "msd": Figure(
        "dynmatch.plotting.kinetics.msd",
        ("msd", "diffusion"),
        "Mean squared displacement, its ratio to that of the reference, and the diffusion "
        "constants D from fits to its long lags, with their ratio to that of the reference. "
        "Triangles: a curve leaves the panel. {notes[msd]}",
    ),
    "dynamics": Figure(
        "dynmatch.plotting.kinetics.dynamics",
        ("vacf", "msd", "scattering"),
        "Dynamics from the first frames on: velocity autocorrelation (of models that have "
        "velocities), mean squared displacement over that of the reference, up to the last lag at "
        "which that is known to 5 %, and self-intermediate scattering functions F_s(k, t). "
        "Triangles: a curve leaves the panel.",
    ),
    "memory_kernel": Figure(
        "dynmatch.plotting.memory.memory_kernel",
        ("model",),
        "Memory kernel K(t) of the models that have one, over the mass m, without its part that is "
        "white noise, which the legend gives; and the real part of its transform, the friction at "
        "each frequency. Dashed: the Markovian limit, a friction that is the same at all of them. "
        "One line for each seed; kernels of several types of sites in panels of their own.",
        needs=(MEMORY,),
        sampling=False,
    ),
    "autocorrelations": Figure(
        "dynmatch.plotting.kinetics.autocorrelations",
        ("vacf", "scattering", "survival"),
        "Self-intermediate scattering functions F_s(k, t), survival of neighbours in the first "
        "shell, within {observables[shell_cutoff]} nm, and velocity autocorrelation (of models "
        "that have velocities), each with its difference from the reference.",
    ),
    "van_hove": Figure(
        "dynmatch.plotting.kinetics.van_hove",
        ("van_hove",),
        "Self part of the van Hove function at lags of {observables[van_hove_lags]} ps.",
    ),
    "free_energy": Figure(
        "dynmatch.plotting.free_energy.free_energy",
        ("pmf", "free_energy_q", "free_energy_r_theta"),
        "Potential of mean force, free energy of the tetrahedral order parameter, and free energy "
        "F of distance and angle of neighbours: of the reference, and of each model less that, "
        "each from its own minimum. Contour lines: F of the reference, every kB T. Grey: not "
        "sampled. Colours end at 0.5 kB T.",
    ),
    "sites": Figure(
        "dynmatch.plotting.sites.sites",
        ("rdf_by_type", "bonded", "reorientation"),
        "RDF of each pair of types, distributions of bond lengths, angles and dihedrals, and "
        "reorientation of bonds: C_1(t) and, dashed, C_2(t).",
        needs=(TYPES,),
    ),
    "recovery": Figure(
        "dynmatch.plotting.recovery.recovery",
        ("history", "model", "pmf"),
        "Learned friction, mass and D0 over the true values in the course of the training, and the "
        "potential of mean force beside the true one. Triangles: a curve leaves the panel.",
        needs=(TRUTH,),
    ),
    "comparison": Figure(
        "dynmatch.plotting.comparison.comparison",
        (SUMMARY,),
        "Metrics of summary.csv, each in its own panel, of every model. Grey: the floor, what a "
        "perfect model would show because samples are finite, from the part of the reference that "
        "models are trained on against the part that they are compared with. Dashed: a null model, "
        "without structure or, in the dynamics, one free particle with the reference's velocities "
        "and diffusion constant. Green: the bar that a model has to come below. D is that of this "
        "box, for the reference and the models alike.",
        sampling=False,
    ),
    "ramachandran": Figure(
        "dynmatch.plotting.torsions.ramachandran",
        ("ramachandran",),
        "Free energy F of the torsions phi and psi of the reference, and of each model less that, "
        "each from its own minimum. Contour lines: F of the reference, every 2 kB T. Grey: not "
        "sampled. Colours end at 0.5 kB T.",
    ),
    "torsions": Figure(
        "dynmatch.plotting.torsions.torsions",
        ("torsion_free_energy", "populations"),
        "Free energies of phi and of psi, and how much of the time is spent in each basin.",
    ),
    "torsion_kinetics": Figure(
        "dynmatch.plotting.torsions.torsion_kinetics",
        ("torsion_correlation", "timescales"),
        "Autocorrelations of cosine and sine of the torsions, and their slowest timescales, from "
        "Markov models with a lag of {observables[timescale_lag]} ps. Shaded: lags that the "
        "training saw.",
    ),
}
"""Name of a figure -> what it is."""


OPENING = ("overview", "torsions")
"""Figures that a report opens with, where a system has them."""


def figures_of(analysis: Analysis, has: Collection[str]) -> list[str]:
    """Names of the figures of a system with this analysis that `has` TRUTH, TYPES or MEMORY."""
    return [
        name
        for name, figure in FIGURES.items()
        if set(figure.needs) <= set(has)
        and analysis.observables.keys() >= OBSERVABLES.keys() & set(figure.tables)
    ]


def columns_of(table: str) -> tuple[str, ...]:
    """Columns that the files of a table have at least."""
    return TABLES[table].columns if table in TABLES else OBSERVABLES[table].names
