"""Public files of GROMACS, AMBER, CHARMM, NAMD and LAMMPS, read and projected: `make test-files`.

They are those of the package MDAnalysisTests, 60 MB, which is downloaded for this; MDATESTS names
the folder that it was unpacked to. What is right is what MDAnalysis says itself, which wrote none
of our mapping, unwrapping or box; for boxes of CHARMM, where it does not turn the positions, it is
that atoms do not overlap.
"""

import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import MDAnalysis
import numpy as np
import pytest

from dynmatch.sites import box as boxes
from dynmatch.systems.trajectory.atoms import read_atoms
from dynmatch.systems.trajectory.frames import frames_of
from dynmatch.systems.trajectory.projection import project_own

DATA = Path(os.environ["MDATESTS"]) / "MDAnalysisTests" / "data"
ANGSTROM = 0.1
EVERY = 4
"""Frames from one that is compared to the next."""


@dataclass(frozen=True)
class Files:
    """A trajectory, its spacing (ps), what there is to find, and keys of the config. GRO and PDB
    files have the bonds of standard residues."""

    topology: str
    trajectory: str
    spacing: float
    bonds: int
    velocities: bool = False
    forces: bool = False
    keys: dict = field(default_factory=dict)
    masses_guessed: bool = False

    def __str__(self) -> str:
        return f"{self.topology} {self.trajectory}"


SCALED, OPEN = {"box": "scale"}, {"periodic": False}
FILES = [
    Files("Amber/ace_tip3p.parm7", "Amber/ace_tip3p.nc", 1.0, 1397, True, True, keys=SCALED),
    Files("Amber/bala.prmtop", "Amber/bala.ncdf", 0.002, 2659),
    Files("Amber/bala.prmtop", "Amber/bala.trj", 0.002, 2659),
    Files("Amber/cpptraj_traj.prmtop", "Amber/cpptraj_traj.nc", 1.0, 85),
    Files("Amber/tz2.truncoct.parm7.bz2", "Amber/tz2.truncoct.nc", 1.0, 5834),
    Files("Amber/ache.prmtop", "Amber/ache.mdcrd", 1.0, 259, keys=OPEN),
    Files("adk_oplsaa.tpr", "adk_oplsaa.xtc", 100.0, 25533),
    Files("adk_oplsaa.tpr", "adk_oplsaa.trr", 100.0, 25533, True),
    Files("adk_oplsaa.pdb", "adk_oplsaa.trr", 100.0, 25533, True, masses_guessed=True),
    Files("adk_oplsaa.gro", "adk_oplsaa.xtc", 100.0, 25533, masses_guessed=True),
    Files("cobrotoxin.tpr", "cobrotoxin.trr", 50.0, 10153, True, True),
    Files("cobrotoxin.tpr", "cobrotoxin.xtc", 50.0, 10153),
    Files("cobrotoxin.tpr", "cobrotoxin.h5md", 50.0, 10153, True, True),
    Files("cobrotoxin_2024_4.tpr", "cobrotoxin.xtc", 50.0, 10153),
    Files("aux_edr.tpr", "aux_edr.xtc", 0.02, 23256),
    Files("watdyn.psf", "watdyn.dcd", 0.02, 15),
    Files("adk.psf", "adk_dims.dcd", 100.0, 3365, keys=OPEN),
    Files("tip125_tric_C36.psf", "tip125_tric_C36.dcd", 20.0, 375, keys=SCALED),
    Files("2r9r-1b.psf", "2r9r-1b.xyz", 1.0, 1308, keys=OPEN),
    Files("2r9r-1b.psf", "2r9r-1b.xyz", 1.0, 1308, keys={"edges": [9.0, 9.0, 9.0]}),
    Files(
        "nmr_neopetrosiamide.pdb",
        "nmr_neopetrosiamide.pdb",
        1.0,
        401,
        keys=OPEN,
        masses_guessed=True,
    ),
    Files("lammps/ifabp_apo_100mM.data.bz2", "lammps/ifabp_apo_100mM.dcd", 24.4, 8993),
]


@pytest.mark.parametrize("files", FILES, ids=str)
def test_sites_are_what_mdanalysis_says(files):
    """Centres of residues: mass, velocity, force, and position up to a vector of the box."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        universe = MDAnalysis.Universe(DATA / files.topology, DATA / files.trajectory)
    atoms = read_atoms([DATA / files.topology])
    assert len(atoms.bonds) == files.bonds
    sites = project_own(
        DATA / files.topology, [DATA / files.trajectory], files.spacing, 300.0, **files.keys
    )
    residue = np.array([atom.residue.index for atom in atoms.topology.atoms])
    count = residue[-1] + 1
    assert sites.positions.shape == (len(universe.trajectory), count, 3)
    mass = universe.atoms.masses
    total = np.bincount(residue, mass)
    np.testing.assert_allclose(sites.masses, total, rtol=2e-3 if files.masses_guessed else 1e-6)
    assert (sites.velocities is not None, sites.forces is not None) == (
        files.velocities,
        files.forces,
    )
    if files.topology.startswith("tip125"):
        return
    periodic = files.keys.get("periodic", True)
    for number in range(0, len(universe.trajectory), EVERY):
        frame = universe.trajectory[number]
        x = ANGSTROM * frame.positions.astype(np.float64)
        vectors = np.eye(3) * 1e4
        if periodic:
            own = files.keys.get("edges")
            vectors = np.diag(own) if own else ANGSTROM * _vectors(frame)
        # atoms next to the first of their residue, by all images
        first = np.flatnonzero(np.diff(residue, prepend=-1))[residue]
        d = x - x[first]
        parts = d @ np.linalg.inv(vectors)
        d = (parts - np.round(parts)) @ vectors
        # in a short vector's image, the nearest of 27
        images = d[:, None] + boxes.SHIFTS @ vectors
        d = images[np.arange(len(d)), np.linalg.norm(images, axis=-1).argmin(1)]
        centre = np.stack([np.bincount(residue, mass * (x[first] + d)[:, k]) for k in range(3)], 1)
        centre /= total[:, None]
        ours = sites.positions[number].astype(np.float64)
        if periodic:
            cell = boxes.matrix(sites.box)
            apart = ours @ np.linalg.inv(cell) - centre @ np.linalg.inv(vectors)
            apart = (apart - np.round(apart)) @ vectors
        else:
            apart = ours - centre
        # boxes that differ by 1e-4 are taken for one
        tolerance = 1e-3 if files.masses_guessed else 5e-4
        worst = np.linalg.norm(apart, axis=1)
        assert np.quantile(worst, 0.99) < tolerance, worst.max()
        if files.velocities:
            v = ANGSTROM * frame.velocities
            v = np.stack([np.bincount(residue, mass * v[:, k]) for k in range(3)], 1)
            expected = v / total[:, None]
            np.testing.assert_allclose(sites.velocities[number], expected, atol=2e-3)
        if files.forces:
            f = frame.forces / ANGSTROM
            f = np.stack([np.bincount(residue, f[:, k]) for k in range(3)], 1)
            np.testing.assert_allclose(sites.forces[number], f, atol=0.05)


def _vectors(frame) -> np.ndarray:
    from MDAnalysis.lib.mdamath import triclinic_vectors

    return triclinic_vectors(frame.dimensions).astype(np.float64)


def test_waters_of_charmm_do_not_overlap():
    """Oxygens are 0.25 nm apart or more, in all images; as MDAnalysis has the box, 0.07 nm."""
    name = "tip125_tric_C36"
    atoms = read_atoms([DATA / f"{name}.psf"])
    oxygens = [atom.index for atom in atoms.topology.atoms if atom.name == "OH2"]
    (frames,) = frames_of(DATA / f"{name}.dcd", atoms, name)
    for x, vectors in zip(frames.positions, frames.vectors, strict=True):
        some = x[oxygens].astype(np.float64)
        shifts = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3), -1).reshape(-1, 3) @ vectors
        r = np.linalg.norm(some[:, None, None] - some[None, :, None] + shifts, axis=-1)
        assert r[r > 1e-3].min() > 0.24
