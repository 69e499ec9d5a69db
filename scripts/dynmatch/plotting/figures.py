"""Every figure by its name, drawn and written."""

from pathlib import Path

from dynmatch.plotting import (
    comparison,
    diagnostics,
    free_energy,
    kinetics,
    overview,
    recovery,
    sites,
    structure,
    style,
    torsions,
)
from dynmatch.plotting.tables import Results

FIGURES = {
    "overview": overview.overview,
    "diagnostics": diagnostics.diagnostics,
    "rdf": structure.rdf,
    "adf": structure.adf,
    "tetrahedral": structure.tetrahedral,
    "msd": kinetics.msd,
    "autocorrelations": kinetics.autocorrelations,
    "van_hove": kinetics.van_hove,
    "free_energy": free_energy.free_energy,
    "sites": sites.sites,
    "recovery": recovery.recovery,
    "comparison": comparison.comparison,
    "ramachandran": torsions.ramachandran,
    "torsions": torsions.torsions,
    "torsion_kinetics": torsions.torsion_kinetics,
}
"""Name of a figure -> function of `Results` that draws it."""


def render(name: str, results: Results, pdf: str | Path, png: str | Path) -> None:
    """Draw the figure called `name` and write it to both files."""
    with style.applied():
        style.save(FIGURES[name](results), pdf, png)
