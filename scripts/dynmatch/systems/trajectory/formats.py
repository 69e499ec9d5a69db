"""Formats of a user's files, by their suffixes: which library reads which.

MDTraj reads what it is best at. MDAnalysis reads what MDTraj does not, or not all of: topologies of
GROMACS (TPR, ITP), LAMMPS and AMBER with the masses that the simulation had, velocities and forces,
the boxes of CHARMM, and dumps of LAMMPS in scaled coordinates.
"""

import gzip
from pathlib import Path

COMPRESSED = (".gz", ".bz2")
MDANALYSIS_TOPOLOGIES = {
    ".tpr": "TPR",
    ".itp": "ITP",
    ".prmtop": "PRMTOP",
    ".parm7": "PRMTOP",
    ".psf": "PSF",
    ".data": "DATA",
    ".lmp": "DATA",
    ".lammpsdata": "DATA",
    ".gsd": "GSD",
    ".mol2": "MOL2",
    ".xyz": "XYZ",
    ".dms": "DMS",
}
"""MDAnalysis's names of the formats that it reads; MDTraj reads the others."""
MDANALYSIS_TRAJECTORIES = {
    ".trr": "TRR",
    ".nc": "NCDF",
    ".ncdf": "NCDF",
    ".netcdf": "NCDF",
    ".dcd": "DCD",
    ".lammpstrj": "LAMMPSDUMP",
    ".lammpsdump": "LAMMPSDUMP",
    ".dump": "LAMMPSDUMP",
    ".xyz": "XYZ",
    ".trj": "TRJ",
    ".gsd": "GSD",
    ".h5md": "H5MD",
}
ARRAYS = (".npz", ".npy")


def suffix(path: str | Path) -> str:
    """The suffix in lower case, without that of a compression."""
    path = Path(path)
    if path.suffix.lower() in COMPRESSED:
        path = path.with_suffix("")
    return path.suffix.lower()


def topology_format(path: str | Path) -> str | None:
    """MDAnalysis's name of the format of a topology; None for one that MDTraj reads.

    GROMACS and AMBER both call their topologies .top.
    """
    if suffix(path) == ".top":
        return "PRMTOP" if _begins_with(path, "%VERSION") else "ITP"
    return MDANALYSIS_TOPOLOGIES.get(suffix(path))


def trajectory_format(path: str | Path) -> str | None:
    """MDAnalysis's name of the format of a trajectory; None for one that MDTraj reads."""
    return MDANALYSIS_TRAJECTORIES.get(suffix(path))


def _begins_with(path: str | Path, text: str) -> bool:
    opened = gzip.open if Path(path).suffix.lower() == ".gz" else open
    with opened(path, "rt", errors="replace") as file:
        return file.read(len(text)) == text
