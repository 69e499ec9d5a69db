"""Observables by name: their tables, what makes them, and how models are compared in them.

Names stand here, not imports: a rule reruns with the observables that it computes, and with no
others. To add one, write its module and give it a card here (docs/extending.md).
"""

from dataclasses import dataclass, replace

from dynmatch.runtime.names import module_of


@dataclass(frozen=True)
class Columns:
    """Columns of a table: what it is a function of, its value and the standard error."""

    keys: tuple[str, ...]
    value: str
    error: str

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.keys, self.value, self.error)


@dataclass(frozen=True)
class Observable(Columns):
    """A table that the reference and every model have, observables/{name}.csv.

    table    dotted name of the function of an `observed.Observed` that makes it
    samples  of the function that gives the arrays behind it, which errors of metrics come from
    rows     of the function of a `summary.rows.Compared` that gives its rows of the summary
    dynamic  whether it differs between models with the same potential
    labels   of abscissa and ordinate, for `plotting.structure.profile`
    note     what a caption says of it
    """

    table: str
    samples: str = ""
    rows: str = ""
    dynamic: bool = False
    labels: tuple[str, str] = ("", "")
    note: str = ""


@dataclass(frozen=True)
class Analysis:
    """What is computed of a trajectory, and what is told of it.

    observables  by name, in the order of the summary's rows
    settings     dotted name of their settings
    velocities   whether velocities are looked at
    compares_by  keys of a system's config that the rows of the summary depend on
    sampling     what captions say of the samples behind means and errors, a template of the
                 sections of the system's config
    """

    observables: dict[str, Observable]
    settings: str
    velocities: bool
    compares_by: tuple[str, ...]
    sampling: str

    @property
    def modules(self) -> tuple[str, ...]:
        """Dotted names of the modules that compute its observables."""
        functions = [name for one in self.observables.values() for name in (one.table, one.samples)]
        return tuple(dict.fromkeys(module_of(name) for name in functions if name))

    @property
    def comparing_modules(self) -> tuple[str, ...]:
        """Dotted names of the modules that compare models in its observables."""
        rows = [one.rows for one in self.observables.values() if one.rows]
        return tuple(dict.fromkeys(map(module_of, rows)))


MSD = Observable(
    ("lag_ps",),
    "msd_nm2",
    "error_nm2",
    "dynmatch.observables.msd.observe_msd",
    samples="dynmatch.observables.msd.samples_of_msd",
    rows="dynmatch.summary.liquid.msd_rows",
    dynamic=True,
    note="Motion of all sites together is taken out. D is that of this box, without a correction "
    "for its size (explanation/limits of the documentation).",
)
DIFFUSION = Observable(
    (),
    "d_nm2_per_ps",
    "error_nm2_per_ps",
    "dynmatch.observables.msd.observe_diffusion",
    rows="dynmatch.summary.rows.diffusion_rows",
    dynamic=True,
)

LIQUID = Analysis(
    observables={
        "rdf": Observable(
            ("r_nm",),
            "rdf",
            "error",
            "dynmatch.observables.by_type.observe_rdf",
            samples="dynmatch.observables.by_type.samples_of_rdf",
            rows="dynmatch.summary.liquid.rdf_rows",
        ),
        "adf": Observable(
            ("cos_theta",),
            "density",
            "error",
            "dynmatch.observables.adf.observe_adf",
            samples="dynmatch.observables.adf.samples_of_adf",
            rows="dynmatch.summary.liquid.adf_rows",
            labels=(r"$\cos\theta$", r"$P(\cos\theta)$"),
        ),
        "tetrahedral": Observable(
            ("q",),
            "density",
            "error",
            "dynmatch.observables.tetrahedral.observe_tetrahedral",
            samples="dynmatch.observables.tetrahedral.samples_of_tetrahedral",
            rows="dynmatch.summary.liquid.tetrahedral_rows",
        ),
        "msd": MSD,
        "diffusion": DIFFUSION,
        "vacf": Observable(
            ("lag_ps",),
            "vacf",
            "error",
            "dynmatch.observables.vacf.observe_vacf",
            samples="dynmatch.observables.vacf.samples_of_vacf",
            rows="dynmatch.summary.liquid.vacf_rows",
            dynamic=True,
        ),
        "van_hove": Observable(
            ("lag_ps", "r_nm"),
            "density_per_nm",
            "error_per_nm",
            "dynmatch.observables.van_hove.observe_van_hove",
            dynamic=True,
        ),
        "scattering": Observable(
            ("k_per_nm", "lag_ps"),
            "fs",
            "error",
            "dynmatch.observables.scattering.observe_scattering",
            samples="dynmatch.observables.scattering.samples_of_scattering",
            rows="dynmatch.summary.liquid.scattering_rows",
            dynamic=True,
        ),
        "survival": Observable(
            ("lag_ps",),
            "survival",
            "error",
            "dynmatch.observables.survival.observe_survival",
            dynamic=True,
        ),
        "pmf": Observable(
            ("r_nm",),
            "w_kj_per_mol",
            "error_kj_per_mol",
            "dynmatch.observables.free_energy.observe_pmf",
        ),
        "free_energy_q": Observable(
            ("q",),
            "f_kj_per_mol",
            "error_kj_per_mol",
            "dynmatch.observables.free_energy.observe_free_energy_q",
        ),
        "free_energy_r_theta": Observable(
            ("r_nm", "cos_theta"),
            "f_kj_per_mol",
            "error_kj_per_mol",
            "dynmatch.observables.free_energy.observe_free_energy_r_theta",
        ),
        "rdf_by_type": Observable(
            ("types", "r_nm"),
            "rdf",
            "error",
            "dynmatch.observables.by_type.observe_rdf_by_type",
        ),
        "bonded": Observable(
            ("types", "coordinate", "value"),
            "density",
            "error",
            "dynmatch.observables.by_type.observe_bonded",
        ),
        "reorientation": Observable(
            ("types", "order", "lag_ps"),
            "correlation",
            "error",
            "dynmatch.observables.reorientation.observe_reorientation",
            dynamic=True,
        ),
    },
    settings="dynmatch.settings.ObservableSettings",
    velocities=True,
    compares_by=("potential.cutoff",),
    sampling=(
        "structure from frames {observables[structure_spacing]} ps apart. Bands and bars: one "
        "standard error, over ten time blocks of each replica, and for the MSD also over sites, "
        "whichever is larger."
    ),
)
MOLECULE = Analysis(
    observables={
        "ramachandran": Observable(
            ("phi_deg", "psi_deg"),
            "f_kj_per_mol",
            "error_kj_per_mol",
            "dynmatch.observables.torsions.observe_ramachandran",
            samples="dynmatch.observables.torsions.samples_of_ramachandran",
            rows="dynmatch.summary.molecule.free_energy_rows",
        ),
        "torsion_free_energy": Observable(
            ("torsion", "angle_deg"),
            "f_kj_per_mol",
            "error_kj_per_mol",
            "dynmatch.observables.torsions.observe_torsion_free_energy",
        ),
        "populations": Observable(
            ("basin",),
            "probability",
            "error",
            "dynmatch.observables.torsions.observe_populations",
            samples="dynmatch.observables.torsions.samples_of_populations",
            rows="dynmatch.summary.molecule.population_rows",
        ),
        "torsion_correlation": Observable(
            ("function", "lag_ps"),
            "correlation",
            "error",
            "dynmatch.observables.torsions.observe_torsion_correlation",
            dynamic=True,
        ),
        "timescales": Observable(
            ("torsion",),
            "timescale_ps",
            "error",
            "dynmatch.observables.torsions.observe_timescales",
            samples="dynmatch.observables.torsions.samples_of_transitions",
            rows="dynmatch.summary.molecule.timescale_rows",
            dynamic=True,
        ),
        "msd": replace(
            MSD,
            table="dynmatch.observables.centre.observe_msd",
            samples="",
            rows="",
            note="It is that of the centre of mass.",
        ),
        "diffusion": replace(DIFFUSION, table="dynmatch.observables.centre.observe_diffusion"),
    },
    settings="dynmatch.settings.MoleculeObservableSettings",
    velocities=False,
    compares_by=("observables.timescale_lag",),
    sampling=(
        "bands and bars: one standard error, over some forty time blocks of all replicas, at least "
        "one of each."
    ),
)
ANALYSES = {"liquid": LIQUID, "molecule": MOLECULE}
"""What is computed of a system, by the name on its card."""
OBSERVABLES = {name: one for each in ANALYSES.values() for name, one in each.observables.items()}
"""All observables; those of one name have the same columns in every analysis."""
