"""Files as users have them, after public bug reports: what `dynmatch new` and `dynmatch check` find
in each kind, or refuse, and by which key."""

import re
from itertools import pairwise

import mdtraj
import numpy as np
import pytest
import yaml
from scipy.io import netcdf_file

from dynmatch.cli.main import main

EDGE, SPACING, FRAMES = 1.8, 0.5, 500
CHAIN = 0.153 * np.array([[0.82 * n, 0.57 * (n % 2), 0.0] for n in range(12)])
"""nm, of carbons in a row."""
WATER = np.array([[0.0, 0.0, 0.0], [0.0957, 0.0, 0.0], [-0.024, 0.0927, 0.0]])
METHANOL = np.array([[0.0, 0.0, 0.0], [0.143, 0.0, 0.0], [0.173, 0.09, 0.0]])
A, B = [0, 1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]
HEXANE = [
    {"name": "A", "atoms": A},
    {"name": "B", "atoms": B},
    {"name": "A", "atoms": [13, 14, 15, 16, 17, 18, 19]},
]
METHYLS = [{"name": "ME", "atoms": "name C", "mass": 15.035}, {"name": "OH", "atoms": "name O H"}]


def hexane() -> tuple[list, np.ndarray]:
    """Six residues a molecule, of a carbon and its hydrogens."""
    residues, places = [], []
    for n in range(6):
        count = 3 if n in (0, 5) else 2
        names = ["C", *(f"H{k}" for k in range(1, count + 1))]
        residues.append(("CHL" if n == 0 else "CHR" if n == 5 else "CH2", names))
        arms = 0.109 * np.array([[0.0, 0.6, 0.8], [0.0, 0.6, -0.8], [-1.0, 0.0, 0.0]])[:count]
        places += [CHAIN[n], *(CHAIN[n] + arms * [1, 1 if n % 2 else -1, 1])]
    return residues, np.array(places)


def molecules(residues: list, places: np.ndarray, grid: int = 3, edge: float = EDGE):
    """Rigid molecules about the nodes of a lattice, each on a walk that goes back to its node,
    wrapped atom by atom."""
    topology, count = mdtraj.Topology(), grid**3
    chain = topology.add_chain()
    for _ in range(count):
        for name, atoms in residues:
            residue = topology.add_residue(name, chain)
            for atom in atoms:
                element = mdtraj.element.get_by_symbol(atom[0])
                topology.add_atom(atom, element, residue)
    nodes = np.stack(np.meshgrid(*[np.arange(grid)] * 3), -1).reshape(-1, 3) * edge / grid
    rng = np.random.default_rng(1)
    x, walk = np.zeros((count, 3)), []
    for _ in range(FRAMES):
        x = 0.97 * x + rng.normal(0, 0.03, x.shape)
        walk.append(nodes + x)
    atoms = (np.array(walk)[:, :, None] + places).reshape(FRAMES, -1, 3)
    box = np.full((FRAMES, 3), edge), np.full((FRAMES, 3), 90.0)
    time = SPACING * np.arange(FRAMES)
    return mdtraj.Trajectory(np.mod(atoms, edge), topology, time, *box)


def bonded(frames: mdtraj.Trajectory, size: int, pairs) -> mdtraj.Trajectory:
    """With the bonds `pairs` in each molecule of so many atoms."""
    atoms = list(frames.topology.atoms)
    for first in range(0, len(atoms), size):
        for i, j in pairs:
            frames.topology.add_bond(atoms[first + i], atoms[first + j])
    return frames


def write_gro(frames: mdtraj.Trajectory, path) -> None:
    """As GROMACS does, without elements or bonds."""
    lines = ["made", f"{frames.n_atoms}"]
    for n, (atom, x) in enumerate(zip(frames.topology.atoms, frames.xyz[0], strict=True), 1):
        residue = atom.residue
        lines.append(
            f"{residue.index + 1:5d}{residue.name:<5s}{atom.name:>5s}{n:5d}"
            + "".join(f"{v:8.3f}" for v in x)
        )
    lines.append("".join(f"{v:10.5f}" for v in frames.unitcell_lengths[0]))
    path.write_text("\n".join([*lines, ""]))


def write_dump(frames: mdtraj.Trajectory, path, steps) -> None:
    """LAMMPS's default, in units of the box."""
    lines = []
    for step, x in zip(steps, frames.xyz, strict=False):
        edges = [f"0 {10 * frames.unitcell_lengths[0, 0]}"] * 3
        lines += ["ITEM: TIMESTEP", str(step), "ITEM: NUMBER OF ATOMS", str(len(x))]
        lines += ["ITEM: BOX BOUNDS pp pp pp", *edges, "ITEM: ATOMS id type xs ys zs"]
        scaled = x / frames.unitcell_lengths[0, 0]
        lines += [f"{n} 1 {a:.6f} {b:.6f} {c:.6f}" for n, (a, b, c) in enumerate(scaled, 1)]
    path.write_text("\n".join([*lines, ""]))


def write_data(frames: mdtraj.Trajectory, path, mass: float) -> None:
    """A LAMMPS data file of united atoms."""
    edge, topology = 10 * frames.unitcell_lengths[0, 0], frames.topology
    lines = ["made", "", f"{frames.n_atoms} atoms", f"{topology.n_bonds} bonds", "1 atom types"]
    lines += ["1 bond types", "", *[f"0 {edge} {k}lo {k}hi" for k in "xyz"]]
    lines += ["", "Masses", "", f"1 {mass}", "", "Atoms # molecular", ""]
    for atom, x in zip(topology.atoms, 10 * frames.xyz[0], strict=True):
        lines.append(f"{atom.index + 1} {atom.residue.index + 1} 1 {x[0]} {x[1]} {x[2]}")
    lines += ["", "Bonds", ""]
    lines += [f"{n} 1 {a.index + 1} {b.index + 1}" for n, (a, b) in enumerate(topology.bonds, 1)]
    path.write_text("\n".join([*lines, ""]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("users")
    water = [("HOH", ["O", "H1", "H2"])]
    frames = molecules(water, WATER)
    frames[0].save_pdb(folder / "water.pdb")
    for suffix in ("nc", "dcd", "xyz", "mdcrd"):
        frames.save(str(folder / f"water.{suffix}"))
    (folder / "water.mdcrd").rename(folder / "water.crd")
    with netcdf_file(folder / "water.nc", "a", mmap=False) as file:
        del file.variables["time"]
    mdtraj.join([frames[:200], frames[199:]]).save(str(folder / "restart.dcd"))
    steps = 100 * np.arange(FRAMES)
    write_dump(frames, folder / "water.lammpstrj", steps)
    write_dump(frames, folder / "twice.lammpstrj", np.where(steps < 10000, steps, steps - 100))
    write_dump(frames, folder / "missing.lammpstrj", np.where(steps < 10000, steps, steps + 100))

    ions = molecules([("ION", ["O"])], np.zeros((1, 3)))
    for residue, name in zip(ions.topology.residues, ["NA", "CL", "LI"] * 9, strict=True):
        residue.name = residue.atom(0).name = name
    write_gro(ions, folder / "ions.gro")
    ions.save(str(folder / "ions.xtc"))

    methanol = molecules([("MOH", ["C", "O", "H"])], METHANOL)
    write_gro(methanol, folder / "methanol.gro")
    methanol.save(str(folder / "methanol.xtc"))

    residues, places = hexane()
    chains = molecules(residues, places, edge=3.0)
    write_gro(chains, folder / "hexane.gro")
    chains.save(str(folder / "hexane.xtc"))

    row = [("DOD", [f"C{n}" for n in range(12)])]
    long = molecules(row, CHAIN, edge=2.4)
    write_gro(long, folder / "dodecane.gro")
    long.save(str(folder / "dodecane.xtc"))
    bonded(long, 12, list(pairwise(range(12))))
    long[0].save_pdb(folder / "dodecane.pdb")
    write_data(long, folder / "dodecane.data", 14.03)
    write_dump(long, folder / "dodecane.lammpstrj", steps)
    return folder


ROW = [
    {"name": name, "atoms": list(range(first, first + 3)), "mass": 43.0}
    for name, first in (("T", 0), ("M", 3), ("M", 6), ("T", 9))
]
HALVES = [{"name": "H", "atoms": list(range(first, first + 6)), "mass": 85.0} for first in (0, 6)]
FOUND = {
    "ions by their names": (
        {"topology": "ions.gro", "trajectories": ["ions.xtc"]},
        r"sites: 9 NA of 22.99 amu, 9 CL of 35.453 amu, 9 LI of 6.94\d* amu",
    ),
    "sites without bonds, guessed": (
        {"topology": "methanol.gro", "trajectories": ["methanol.xtc"]}
        | {"bonds": "guess", "sites": METHYLS},
        r"atoms: 81, 54 bonds.*molecules: 27 ME-OH",
    ),
    "beads across residues": (
        {"topology": "hexane.gro", "trajectories": ["hexane.xtc"]}
        | {"molecules": [{"size": 20, "sites": HEXANE, "bonds": [[0, 1], [1, 2]]}]},
        r"sites: 54 A of 29.06\d* amu, 27 B of 28.05\d* amu.*molecules: 27 A-B-A",
    ),
    "longer than half the box": (
        {"topology": "dodecane.pdb", "trajectories": ["dodecane.xtc"]}
        | {"sites": [{"name": "DOD", "atoms": "resname DOD", "mass": 170.0}]},
        r"atoms: 324, 297 bonds.*27 DOD of 170 amu",
    ),
    "LAMMPS data and a scaled dump": (
        {"topology": "dodecane.data", "trajectories": ["dodecane.lammpstrj"]}
        | {"frame_spacing": SPACING, "molecules": [{"sites": ROW}]},
        r"54 T of 43 amu, 54 M of 43 amu.*molecules: 27 T-M-M-T",
    ),
    "long beads, bonded in the mapping": (
        {"topology": "dodecane.gro", "trajectories": ["dodecane.xtc"]}
        | {"molecules": [{"size": 12, "sites": HALVES, "bonds": [[0, 1]]}]},
        r"atoms: 324, 0 bonds.*54 H of 85 amu.*molecules: 27 H-H",
    ),
    "scaled dump": (
        {"topology": "water.pdb", "trajectories": ["water.lammpstrj"], "frame_spacing": SPACING},
        r"box: 1.8, 1.8, 1.8 nm.*runs: 1, of 250 ps",
    ),
    "NetCDF without times": (
        {"topology": "water.pdb", "trajectories": ["water.nc"], "frame_spacing": 2 * SPACING},
        r"runs: 1, of 500 ps, frames 1 ps apart",
    ),
    "AMBER's text without times": (
        {"topology": "water.pdb", "trajectories": ["water.crd"], "frame_spacing": 2 * SPACING},
        r"box: 1.8, 1.8, 1.8 nm.*runs: 1, of 500 ps, frames 1 ps apart",
    ),
    "XYZ": (
        {"topology": "water.pdb", "trajectories": ["water.xyz"], "frame_spacing": SPACING}
        | {"edges": [EDGE] * 3},
        r"box: 1.8, 1.8, 1.8 nm",
    ),
}
REFUSED = {
    "sites without bonds": (
        {"topology": "methanol.gro", "trajectories": ["methanol.xtc"], "sites": METHYLS},
        r"reference.topology: residue MOH\S* has several sites and no bond; .*reference.bonds: gue",
    ),
    "molecules in several residues without bonds": (
        {"topology": "hexane.gro", "trajectories": ["hexane.xtc"]},
        r"hexane.xtc: CH\S*-C and CH\S*-C .* no bond .*reference.molecules .*bonds: guess",
    ),
    "united atoms": (
        {"topology": "dodecane.pdb", "trajectories": ["dodecane.xtc"]},
        r"reference.sites.mass: DOD has no hydrogens .*give the mass of the site, as in .name: DOD",
    ),
    "longer than half the box, without bonds": (
        {"topology": "dodecane.gro", "trajectories": ["dodecane.xtc"]}
        | {"sites": [{"name": "DOD", "atoms": "resname DOD", "mass": 170.0}]},
        r"dodecane.xtc: atoms of a site DOD are .* about half the box, .* bonds: guess",
    ),
    "TIMESTEP twice": (
        {"topology": "water.pdb", "trajectories": ["twice.lammpstrj"], "frame_spacing": SPACING},
        r"twice.lammpstrj: frames are missing or repeated after TIMESTEP 9900",
    ),
    "TIMESTEP missing": (
        {"topology": "water.pdb", "trajectories": ["missing.lammpstrj"], "frame_spacing": SPACING},
        r"missing.lammpstrj: frames are missing or repeated after TIMESTEP 9900 .* 10100 follows",
    ),
    "a frame twice": (
        {"topology": "water.pdb", "trajectories": ["restart.dcd"], "frame_spacing": SPACING},
        r"restart.dcd: frames 199 and 200 are the same",
    ),
    "no box": (
        {"topology": "water.pdb", "trajectories": ["water.xyz"], "frame_spacing": SPACING},
        r"water.xyz: has no box; give its edges, nm, as \S*reference.edges",
    ),
}
WITHOUT_TIMES = ("water.nc", "water.crd", "water.dcd", "water.lammpstrj")


def words(reference: dict, output, folder) -> list[str]:
    """Those of `dynmatch new` that say what a config's reference says."""
    made = ["new", reference["topology"], *reference["trajectories"], "--temperature", "300"]
    made += ["--output", str(output)]
    mapping = {k: reference[k] for k in ("sites", "molecules") if k in reference}
    if mapping:
        (folder / "mapping.yaml").write_text(yaml.safe_dump(mapping))
        made += ["--mapping", "mapping.yaml"]
    for key in ("frame_spacing", "bonds", "edges"):
        if key in reference:
            made += [f"--{key.replace('_', '-')}", *map(str, np.ravel(reference[key]))]
    return made


@pytest.mark.parametrize(("reference", "expected"), FOUND.values(), ids=FOUND)
def test_what_is_found(reference, expected, folder, tmp_path, capsys, monkeypatch):
    """The config that is written says it again."""
    monkeypatch.chdir(folder)
    output = tmp_path / "mine.yaml"
    assert main(words(reference, output, folder)) == 0
    assert re.search(expected, capsys.readouterr().out.replace("\n", " "))
    assert main(["check", str(output)]) == 0
    assert re.search(expected, capsys.readouterr().out.replace("\n", " "))


@pytest.mark.parametrize(("reference", "expected"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(reference, expected, folder, tmp_path, capsys, monkeypatch):
    """By `new`, and by `check` in a config with the same keys."""
    monkeypatch.chdir(folder)
    output = tmp_path / "mine.yaml"
    assert main(words(reference, output, folder)) == 1
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.search(expected, told), told
    assert not output.exists()
    system = {
        "kind": "trajectory",
        "temperature": 300.0,
        "reference": {"frame_spacing": SPACING, **reference},
        "training": {"lags": [10], "smoothing": 0.0},
        "validation": {"length": 200, "frame_spacing": SPACING},
        "observables": {"msd_length": 50, "vacf_length": 1.0},
    }
    config = {"run": "own", "only": ["mine"], "models": ["ld"], "systems": {"mine": system}}
    output.write_text(yaml.safe_dump(config))
    assert main(["check", str(output)]) == 1
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.search(expected, told), told


@pytest.mark.parametrize("name", WITHOUT_TIMES)
def test_times_are_asked_for_where_files_have_none(name, folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    reference = {"topology": "water.pdb", "trajectories": [name]}
    assert main(words(reference, tmp_path / "mine.yaml", folder)) == 1
    assert f"{name}: has no times; give --frame-spacing, ps" in capsys.readouterr().err
