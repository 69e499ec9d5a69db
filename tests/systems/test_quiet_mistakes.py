"""Inputs that people have and that were accepted with wrong numbers: elements by the first letter,
sites without bonds, molecules longer than half the box, restarts, files without times."""

from itertools import pairwise

import mdtraj
import numpy as np
import pytest

from dynmatch.errors import DynmatchError
from dynmatch.sites.mapping import map_sites, site_bonds, site_topology
from dynmatch.sites.masses import masses_of
from dynmatch.sites.projection import make_whole
from dynmatch.systems.trajectory.projection import project_own
from tests.systems.test_own_trajectory import EDGE, SITES, project, trajectory


def topology_of(residues, bonds=()) -> mdtraj.Topology:
    """Of residues (name, {atom: symbol, or None where the file does not say it})."""
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for name, atoms in residues:
        residue = topology.add_residue(name, chain)
        for atom, symbol in atoms.items():
            element = symbol and mdtraj.element.get_by_symbol(symbol)
            topology.add_atom(atom, element, residue)
    for i, j in bonds:
        topology.add_bond(topology.atom(i), topology.atom(j))
    return topology


@pytest.mark.parametrize(
    ("residue", "atom", "guessed", "mass"),
    [
        ("NA", "NA", "N", 22.990),
        ("CL", "CL", "C", 35.453),
        ("LI", "LI", None, 6.941),
        ("MG", "MG", None, 24.305),
        ("BR", "BR", "B", 79.904),
        ("Cl-", "Cl-", "C", 35.453),
        ("SOD", "SOD", "S", 22.990),
        ("CLA", "CLA", "C", 35.453),
        ("POT", "POT", "P", 39.098),
        ("AR", "AR", "Ar", 39.948),
        # of the file, and not at odds with the name
        ("UNK", "AR", "Ar", 39.948),
    ],
)
def test_an_atom_alone_that_is_named_like_an_element_is_that(residue, atom, guessed, mass):
    topology = topology_of([(residue, {atom: guessed})])
    assert masses_of(topology).value[0] == pytest.approx(mass, abs=0.01)
    assert map_sites(topology, [])[0].mass == pytest.approx(mass, abs=0.01)


@pytest.mark.parametrize(
    ("residue", "atoms"),
    [
        ("ION", {"NA": "N"}),
        ("ALA", {"CA": "C"}),
        ("TCM", {"C": "C", "CL1": "C", "CL2": "C", "H": "H"}),
        ("SOL", {"OW": "O"}),
        ("DEC", {"C1": "C", "C2": "C"}),
    ],
    ids=["an ion by another name", "alpha carbons", "chloroform", "oxygens", "united atoms"],
)
def test_what_is_not_known_is_asked_for(residue, atoms):
    topology = topology_of([(residue, atoms)])
    with pytest.raises(DynmatchError, match="mass"):
        map_sites(topology, [])
    sites = [{"name": "X", "atoms": [0], "mass": 15.035}]
    assert map_sites(topology, sites)[0].mass == 15.035


def test_gro_files_of_ions(tmp_path):
    """MDTraj's reader, which guesses: NA is nitrogen to it and CL carbon."""
    lines = ["brine", "2"]
    for number, name in enumerate(("NA", "CL"), 1):
        lines.append(
            f"{number:5d}{name:<5s}{name:>5s}{number:5d}{0.1 * number:8.3f}   0.100   0.100"
        )
    (tmp_path / "conf.gro").write_text("\n".join([*lines, "   2.0   2.0   2.0", ""]))
    sites = map_sites(mdtraj.load_topology(str(tmp_path / "conf.gro")), [])
    assert [site.mass for site in sites] == pytest.approx([22.990, 35.453], abs=0.01)


def test_several_sites_of_a_molecule_need_a_bond():
    """Without, g = 36 at the length of the covalent bond was taken for an attraction."""
    atoms = {"C": "C", "H1": "H", "O": "O", "H2": "H"}
    for bonds, refused in ((), True), (((0, 1), (0, 2), (2, 3)), False):
        topology = topology_of([("MOH", atoms)] * 2, bonds and [*bonds, *np.add(bonds, 4)])
        sites = map_sites(topology, SITES)
        pairs = site_bonds(topology, sites)
        if refused:
            with pytest.raises(DynmatchError, match="residue MOH0 has several sites and no bond"):
                site_topology(topology, sites, pairs)
        else:
            assert site_topology(topology, sites, pairs).bonds == ((0, 1), (2, 3))


def test_a_chain_longer_than_half_the_box_is_made_whole_along_its_bonds():
    """Bonds of 0.15 nm in random directions that go on, 12 atoms, in boxes from 1 nm on."""
    rng = np.random.default_rng(2)
    steps = 0.15 * np.array([1.0, 0.1, 0.0]) + rng.normal(0, 0.03, (4, 12, 3))
    chain = rng.uniform(0, 1, (4, 1, 3)) + np.cumsum(steps, 1)
    order = rng.permutation(12)
    box = np.array([1.0, 1.2, 1.4])
    whole = np.empty_like(chain)
    whole[:, order] = chain
    bonds = list(pairwise(order))
    mended = make_whole(np.mod(whole, box), [order], box, bonds)
    shift = (mended - whole) / box
    np.testing.assert_allclose(shift, np.round(shift), atol=1e-9)
    np.testing.assert_allclose(shift, np.broadcast_to(shift[:, order[:1]], shift.shape), atol=1e-9)
    nearest = make_whole(np.mod(whole, box), [order], box)
    assert np.abs(np.ptp(nearest, axis=1) - np.ptp(whole, axis=1)).max() > 0.3


def chains(tmp_path, bonds: bool):
    """Twelve-atom chains along x, two, that fill 1.65 of a box of 2 nm, wrapped."""
    atoms = {f"X{n}": "Si" for n in range(12)}
    pairs = [(n, n + 1) for n in range(11)] if bonds else []
    topology = topology_of([("CHN", atoms)] * 2, [*pairs, *[(i + 12, j + 12) for i, j in pairs]])
    line = 0.15 * np.arange(12)[:, None] * [1.0, 0, 0]
    walk = np.cumsum(np.random.default_rng(1).normal(0, 0.01, (20, 2, 1, 3)), 0)
    x = (walk + line + np.array([0.5, 1.5])[:, None, None]).reshape(20, 24, 3)
    frames = mdtraj.Trajectory(
        np.mod(x, 2.0), topology, np.arange(20) * 0.1, np.full((20, 3), 2.0), np.full((20, 3), 90.0)
    )
    frames.save(str(tmp_path / "run.h5"))
    return x.reshape(20, 2, 12, 3).mean(2)


def test_the_centre_of_a_long_molecule_is_where_its_atoms_are(tmp_path):
    centres = chains(tmp_path, bonds=True)
    found = project_own(tmp_path / "run.h5", [tmp_path / "run.h5"], 0.1, 300.0)
    off = found.positions - centres
    np.testing.assert_allclose(off - 2.0 * np.round(off / 2.0), 0.0, atol=1e-4)


def test_a_long_molecule_without_bonds_is_refused(tmp_path):
    chains(tmp_path, bonds=False)
    with pytest.raises(DynmatchError, match=r"site CHN .* about half the box, .* no bonds"):
        project_own(tmp_path / "run.h5", [tmp_path / "run.h5"], 0.1, 300.0)


def test_a_repeated_frame_is_told(tmp_path):
    frames, _ = trajectory()
    frames[0].save_pdb(tmp_path / "topology.pdb")
    mdtraj.join([frames[:12], frames[11:]]).save(str(tmp_path / "run.dcd"))
    with pytest.raises(DynmatchError, match=r"run.dcd: frames 11 and 12 are the same"):
        project(tmp_path, "run.dcd")


@pytest.mark.parametrize("kind", ["zero", "none"])
def test_a_file_without_times_is_believed_as_the_config_says(kind, tmp_path):
    from scipy.io import netcdf_file

    frames, _ = trajectory()
    frames[0].save_pdb(tmp_path / "topology.pdb")
    if kind == "zero":
        frames.time[:] = 0.0
    frames.save(str(tmp_path / "run.nc"))
    if kind == "none":
        with netcdf_file(tmp_path / "run.nc", "a", mmap=False) as file:
            del file.variables["time"]
            # pytraj writes none either
            del file.variables["coordinates"]._attributes["units"]
    assert project(tmp_path, "run.nc").frame_spacing == pytest.approx(0.1)


def dump(path, steps, scaled: bool) -> None:
    """A LAMMPS dump of `trajectory`, in angstroms or in units of the box."""
    frames, _ = trajectory()
    lines = []
    for step, x in zip(steps, frames.xyz, strict=False):
        lines += ["ITEM: TIMESTEP", str(step), "ITEM: NUMBER OF ATOMS", str(len(x))]
        lines += ["ITEM: BOX BOUNDS pp pp pp", *[f"0 {10 * EDGE}"] * 3]
        lines.append("ITEM: ATOMS id type " + ("xs ys zs" if scaled else "x y z"))
        values = x / EDGE if scaled else 10 * x
        lines += [f"{n} 1 {a:.6f} {b:.6f} {c:.6f}" for n, (a, b, c) in enumerate(values, 1)]
    path.write_text("\n".join(lines) + "\n")


def test_scaled_coordinates_of_lammps_are_read(tmp_path):
    trajectory()[0][0].save_pdb(tmp_path / "topology.pdb")
    for name, scaled in (("run.lammpstrj", False), ("scaled.lammpstrj", True)):
        dump(tmp_path / name, range(0, 1200, 100), scaled)
    plain, scaled = (project(tmp_path, n) for n in ("run.lammpstrj", "scaled.lammpstrj"))
    np.testing.assert_allclose(scaled.positions, plain.positions, atol=1e-4)


@pytest.mark.parametrize("steps", [[0, 100, 200, 200, 300], [0, 100, 200, 400, 500]])
def test_a_restart_is_told_by_its_time_steps(steps, tmp_path):
    trajectory()[0][0].save_pdb(tmp_path / "topology.pdb")
    dump(tmp_path / "run.lammpstrj", steps, False)
    with pytest.raises(DynmatchError, match=rf"after TIMESTEP 200 \(frame 2\), which {steps[3]}"):
        project(tmp_path, "run.lammpstrj")
