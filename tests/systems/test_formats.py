"""Files of other programs: what an engine has in memory is what is read from its files."""

import gzip
import os
import subprocess
import sys
from itertools import pairwise

import gsd.hoomd
import mdtraj
import numpy as np
import pytest
import yaml
from MDAnalysis.lib.formats.libdcd import DCDFile
from MDAnalysis.lib.formats.libmdaxdr import TRRFile
from scipy.linalg import sqrtm

from dynmatch.errors import DynmatchError
from dynmatch.sites import box as boxes
from dynmatch.sites.mapping import map_sites
from dynmatch.sites.trajectory import read, write
from dynmatch.storage import memmap
from dynmatch.systems.paths import expanded
from dynmatch.systems.trajectory.atoms import read_atoms, with_guessed_bonds
from dynmatch.systems.trajectory.projection import project_own
from tests.helpers import lammps_water
from tests.helpers.lammps_water import DUMPS, EVERY, SHOTS
from tests.helpers.rule_files import ROOT
from tests.systems.test_own_trajectory import (
    EDGE,
    FRAMES,
    MOLECULES,
    OBLIQUE,
    SPACING,
    in_a_crystal,
    project,
    trajectory,
)

CALORIE = 4.184


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """The folder of a run of `helpers.lammps_water`, and what the engine had in memory."""
    folder = tmp_path_factory.mktemp("lammps")
    library = os.pathsep.join([f"{sys.prefix}/lib", os.environ.get("LD_LIBRARY_PATH", "")])
    subprocess.run(
        [sys.executable, lammps_water.__file__, folder],
        check=True,
        env={**os.environ, "LD_LIBRARY_PATH": library},
    )
    plain = (folder / "wrapped.lammpstrj").read_bytes()
    (folder / "packed.lammpstrj.gz").write_bytes(gzip.compress(plain))
    with np.load(folder / "held.npz") as held:
        return folder, dict(held)


@pytest.mark.parametrize("name", [*[f"{d}.lammpstrj" for d in DUMPS], "packed.lammpstrj.gz"])
def test_dumps_of_lammps_are_what_the_engine_had(engine, name):
    """Sites are whole molecules: of its data file's bonds, at its masses."""
    folder, held = engine
    sites = project_own(
        folder / "water.data", [folder / name], 0.001 * EVERY, 300.0, cutoffs={"cutoff": 0.35}
    )
    count = len(held["masses"]) // 3
    m = held["masses"].reshape(1, count, 3, 1)
    shape = (SHOTS, count, 3, 3)
    mean = {k: (held[k].reshape(shape) * m).sum(2) / m.sum(2) for k in "xv"}
    np.testing.assert_allclose(sites.masses, 18.0154, rtol=1e-6)
    np.testing.assert_allclose(boxes.matrix(sites.box), boxes.matrix(held["box"] / 10), atol=1e-5)
    moved = sites.positions - sites.positions[0]
    np.testing.assert_allclose(moved, 0.1 * (mean["x"] - mean["x"][0]), atol=2e-5)
    np.testing.assert_allclose(sites.velocities, 100 * mean["v"], atol=1e-4)
    force = 10 * CALORIE * held["f"].reshape(shape).sum(2)
    np.testing.assert_allclose(sites.forces, force, atol=0.1)


def test_velocities_in_other_units_are_told_by_their_kinetic_energy(engine):
    folder, _ = engine
    files = folder / "water.data", [folder / "wrapped.lammpstrj"]
    with pytest.raises(DynmatchError, match=r"e-0[67] times the kinetic energy .*lammps_units"):
        project_own(*files, 0.001 * EVERY, 300.0, lammps_units="metal")


def test_data_files_of_lammps_say_which_atoms_are_bonded_and_what_they_weigh(engine):
    atoms = read_atoms([engine[0] / "water.data"])
    assert [atom.name for atom in atoms.topology.atoms][:3] == ["T1", "T2", "T2"]
    assert [atom.element.symbol for atom in atoms.topology.atoms][:3] == ["O", "H", "H"]
    count = atoms.topology.n_atoms // 3
    assert atoms.topology.n_residues == count
    bonds = {tuple(sorted(pair)) for pair in atoms.bonds}
    assert bonds == {(3 * k, 3 * k + j) for k in range(count) for j in (1, 2)}


def crystal(vectors: np.ndarray) -> tuple[mdtraj.Trajectory, np.ndarray]:
    """Molecules that walk in an oblique box, wrapped, and how far they have come (F, M, 3)."""
    frames, _ = trajectory(step=0.0)
    parts = frames.xyz.astype(np.float64) / EDGE @ vectors
    walk = np.cumsum(np.random.default_rng(2).normal(0, 0.02, (FRAMES, MOLECULES, 1, 3)), 0)
    frames.unitcell_vectors = np.tile(vectors, (FRAMES, 1, 1))
    whole = parts + np.repeat(walk, 4, axis=2).reshape(FRAMES, -1, 3)
    frames.xyz = boxes.wrap(whole, vectors)
    return frames, (walk - walk[:1])[:, :, 0]


@pytest.mark.parametrize("kind", ["cosines", "degrees", "matrix"])
def test_the_three_kinds_of_boxes_in_dcd_files(kind, tmp_path):
    """Cosines of NAMD, degrees, and CHARMM's symmetric matrix H: with H H^T = V V^T it is the box V
    turned by V^-1 H, and so are the positions."""
    frames, walk = crystal(OBLIQUE)
    lengths, (alpha, beta, gamma) = boxes.lengths_and_angles(OBLIQUE)
    a, b, c = 10 * lengths
    symmetric = np.real(sqrtm(100 * OBLIQUE @ OBLIQUE.T))
    cosines = np.cos(np.radians([gamma, beta, alpha]))
    cell = {
        "cosines": [a, cosines[0], b, cosines[1], cosines[2], c],
        "degrees": [a, gamma, b, beta, alpha, c],
        "matrix": symmetric[[0, 0, 1, 0, 1, 2], [0, 1, 1, 2, 2, 2]],
    }[kind]
    turn = np.linalg.inv(10 * OBLIQUE) @ symmetric if kind == "matrix" else np.eye(3)
    with DCDFile(str(tmp_path / "run.dcd"), "w") as file:
        file.write_header("", frames.n_atoms, 0, 1, 1.0, 1)
        for x in frames.xyz:
            file.write(10 * x @ turn, box=np.array(cell))
    frames[0].save_pdb(tmp_path / "topology.pdb")
    sites = project(tmp_path, "run.dcd", sites=[])
    np.testing.assert_allclose(boxes.matrix(sites.box), boxes.matrix(OBLIQUE), atol=2e-5)
    np.testing.assert_allclose(sites.positions - sites.positions[0], walk, atol=2e-5)


def write_gsd(path, frames, bonds=()) -> None:
    """By HOOMD's own library: positions about the middle of the box, edges and tilts."""
    (x, _, _), (xy, y, _), (xz, yz, z) = 10 * frames.unitcell_vectors[0]
    with gsd.hoomd.open(str(path), "w") as file:
        for number, positions in enumerate(frames.xyz):
            frame = gsd.hoomd.Frame()
            frame.configuration.step = 100 * number
            frame.configuration.box = [x, y, z, xy / y, xz / z, yz / z]
            frame.particles.N = frames.n_atoms
            frame.particles.position = 10 * positions - 5 * frames.unitcell_vectors[0].sum(0)
            frame.particles.types = ["H1", "C", "O", "H2"]
            frame.particles.typeid = np.arange(frames.n_atoms) % 4
            frame.particles.mass = np.tile([1.0, 12.0, 16.0, 1.0], frames.n_atoms // 4)
            frame.bonds.N, frame.bonds.group = len(bonds), bonds
            frame.bonds.typeid, frame.bonds.types = np.zeros(len(bonds), int), ["b"]
            file.append(frame)


def test_hoomd_files_in_oblique_boxes(tmp_path):
    """HOOMD's tilts are no cosines; molecules are what bonds hold together."""
    frames, walk = crystal(OBLIQUE)
    bonds = [(4 * m + k, 4 * m + k + 1) for m in range(MOLECULES) for k in range(3)]
    write_gsd(tmp_path / "run.gsd", frames, bonds)
    sites = project_own(tmp_path / "run.gsd", [tmp_path / "run.gsd"], SPACING, 300.0)
    np.testing.assert_allclose(sites.masses, 30.0)
    assert sites.n_sites == MOLECULES
    np.testing.assert_allclose(boxes.matrix(sites.box), OBLIQUE, atol=1e-5)
    np.testing.assert_allclose(sites.positions - sites.positions[0], walk, atol=2e-5)


@pytest.mark.parametrize("suffix", ["mdcrd", "crd"])
def test_text_of_amber_has_a_box_and_no_times(suffix, tmp_path):
    """Written as AMBER does, 10F8.3 and the edges on a line of their own."""
    frames, _ = trajectory()
    frames[0].save_pdb(tmp_path / "topology.pdb")
    frames.save(str(tmp_path / "run.h5"))
    with (tmp_path / f"run.{suffix}").open("w") as file:
        file.write("methanol\n")
        for x in frames.xyz:
            numbers = [f"{v:8.3f}" for v in 10 * x.ravel()]
            rows = ["".join(numbers[k : k + 10]) for k in range(0, len(numbers), 10)]
            file.write("\n".join([*rows, f"{10 * EDGE:8.3f}" * 3, ""]))
    found = project(tmp_path, f"run.{suffix}", spacing=0.3)
    assert found.frame_spacing == pytest.approx(0.3)
    expected = project(tmp_path, "run.h5").positions
    np.testing.assert_allclose(found.positions, expected, atol=2e-4)


def write_trr(path, frames, velocities, forces, every: int = 1) -> None:
    with TRRFile(str(path), "w") as file:
        for n, x in enumerate(frames.xyz):
            file.write(
                x,
                velocities[n],
                forces[n] if n % every == 0 else None,
                np.asarray(frames.unitcell_vectors[n], np.float32),
                n,
                float(frames.time[n]),
                0.0,
                len(x),
            )


def test_velocities_and_forces_of_gromacs(tmp_path):
    """V = sum m v/M and F = sum f; forces that every second frame lacks are left out."""
    frames, _ = trajectory()
    rng = np.random.default_rng(5)
    mass = np.array([atom.element.mass for atom in frames.topology.atoms])
    v = rng.normal(0, np.sqrt(2.494 / mass)[None, :, None], frames.xyz.shape)
    f = rng.normal(0, 500, frames.xyz.shape)
    frames[0].save_pdb(tmp_path / "topology.pdb")
    write_trr(tmp_path / "run.trr", frames, v.astype(np.float32), f.astype(np.float32))
    write_trr(tmp_path / "thin.trr", frames, v.astype(np.float32), f.astype(np.float32), every=2)
    sites = project(tmp_path, "run.trr", sites=[])
    by_molecule = (FRAMES, MOLECULES, 4, 3)
    weight = mass[:4, None] / mass[:4].sum()
    np.testing.assert_allclose(
        sites.velocities, (weight * v.reshape(by_molecule)).sum(2), atol=1e-5
    )
    np.testing.assert_allclose(sites.forces, f.reshape(by_molecule).sum(2), atol=1e-2)
    thin = project(tmp_path, "thin.trr", sites=[])
    assert thin.forces is None
    np.testing.assert_array_equal(thin.velocities, sites.velocities)


def test_force_matching_without_forces_is_refused_when_the_files_are_read(tmp_path):
    """By the job that projects them: nothing before it can tell."""
    frames, _ = trajectory()
    frames[0].save_pdb(tmp_path / "topology.pdb")
    frames.save(str(tmp_path / "run.xtc"))
    system = {
        "kind": "trajectory",
        "reference": {
            "topology": "topology.pdb",
            "trajectories": ["run.xtc"],
            "frame_spacing": SPACING,
        },
        "baselines": {"methods": ["fm"]},
        "validation": {"frame_spacing": SPACING},
    }
    config = {"run": "own", "only": ["own"], "models": ["ld"], "systems": {"own": system}}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--snakefile", ROOT / "Snakefile"]
    command += ["--directory", tmp_path, "--configfile", ROOT / "config.yaml", "own.yaml"]
    command += ["--", "results/own/own/projected.h5"]
    call = subprocess.run(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert call.returncode
    assert (
        "systems.own.baselines.methods has fm, force matching, and the trajectories" in call.stdout
    )
    assert not (tmp_path / "results/own/own/projected.h5").exists()


def test_arrays(tmp_path):
    frames, _ = trajectory()
    frames[0].save_pdb(tmp_path / "topology.pdb")
    frames.save(str(tmp_path / "run.h5"))
    plain = project(tmp_path, "run.h5")
    for box in ([EDGE] * 3, EDGE * np.eye(3), np.full((FRAMES, 3), EDGE)):
        np.savez(tmp_path / "run.npz", positions=frames.xyz, box=box, time=frames.time)
        found = project(tmp_path, "run.npz").positions
        np.testing.assert_allclose(found, plain.positions, atol=1e-6)
    np.save(tmp_path / "run.npy", frames.xyz)
    np.testing.assert_allclose(
        project(tmp_path, "run.npy", edges=[EDGE] * 3).positions, plain.positions, atol=1e-6
    )
    np.savez(tmp_path / "run.npz", positions=frames.xyz, box=[EDGE, EDGE, -EDGE])
    with pytest.raises(DynmatchError, match=r"run.npz: the box of frame 0 has .* which no box has"):
        project(tmp_path, "run.npz")
    np.savez(tmp_path / "other.npz", R=frames.xyz)
    with pytest.raises(DynmatchError, match=r"other.npz: has arrays R; it needs positions"):
        project(tmp_path, "other.npz")


def test_files_without_a_box_take_the_edges_that_are_given(tmp_path):
    frames, _ = trajectory()
    frames[0].save_pdb(tmp_path / "topology.pdb")
    frames.save(str(tmp_path / "run.xyz"))
    frames.save(str(tmp_path / "run.h5"))
    with pytest.raises(
        DynmatchError, match=r"run.xyz: has no box; give its edges.*reference.edges"
    ):
        project(tmp_path, "run.xyz")
    found = project(tmp_path, "run.xyz", edges=[EDGE] * 3)
    np.testing.assert_allclose(found.positions, project(tmp_path, "run.h5").positions, atol=1e-4)
    with pytest.raises(DynmatchError, match=r"reference.edges: .*run.h5 has boxes of its own"):
        project(tmp_path, "run.h5", edges=[EDGE] * 3)


def test_parts_of_a_run_are_one_run(tmp_path):
    """Twelve parts, of which each begins with the last frame of the one before, as GROMACS writes
    them, or with the next; another run, which begins at 0, is not joined to them."""
    frames, _ = trajectory()
    frames[0].save_pdb(tmp_path / "topology.pdb")
    frames.save(str(tmp_path / "whole.h5"))
    edges = [0, 3, 5, 8, 10, 13, 15, 18, 20, 23, 25, 27, FRAMES]
    for number, (a, b) in enumerate(pairwise(edges), 1):
        repeated = number % 2 and number > 1
        frames[a - repeated : b].save(str(tmp_path / f"part-{number}.h5"))
    names = [path.rpartition("/")[2] for path in expanded(f"{tmp_path}/part-*.h5")]
    assert names == [f"part-{n}.h5" for n in range(1, 13)]
    whole = project(tmp_path, "whole.h5")
    joined = project(tmp_path, *names, "whole.h5")
    assert [replica.n_frames for replica in joined.replicas()] == [FRAMES, FRAMES]
    for replica in joined.replicas():
        np.testing.assert_allclose(replica.positions, whole.positions, atol=1e-6)


def test_a_file_that_begins_in_time_but_elsewhere_is_a_run_of_its_own(tmp_path):
    frames, _ = trajectory()
    other, _ = trajectory(seed=7)
    other.time = other.time + FRAMES * SPACING
    frames[0].save_pdb(tmp_path / "topology.pdb")
    frames.save(str(tmp_path / "one.h5"))
    other.save(str(tmp_path / "two.h5"))
    assert len(project(tmp_path, "one.h5", "two.h5").replicas()) == 2


def test_a_file_of_one_frame_before_another_is_refused_by_its_number(tmp_path):
    """Its frame spacing, by which the next would continue it, is not known."""
    frames, _ = trajectory()
    frames[0].save_pdb(tmp_path / "topology.pdb")
    frames[:1].save(str(tmp_path / "one.h5"))
    frames[1:].save(str(tmp_path / "rest.h5"))
    with pytest.raises(DynmatchError, match=r"one.h5: holds 1 frames; it takes 3 at least"):
        project(tmp_path, "one.h5", "rest.h5")


def test_parts_are_joined_in_boxes_that_change(tmp_path):
    """Molecules that walk through faces of a box that breathes by 4 %."""
    breath = 1 + 0.04 * np.sin(2 * np.pi * np.arange(FRAMES) / FRAMES)
    frames, walk = in_a_crystal(OBLIQUE, breath)
    frames[0].save_pdb(tmp_path / "topology.pdb")
    frames[:8].save(str(tmp_path / "one.h5"))
    frames[7:].save(str(tmp_path / "two.h5"))
    sites = project(tmp_path, "one.h5", "two.h5", box="scale")
    assert sites.n_frames == FRAMES
    moved = sites.positions - sites.positions[0]
    box = boxes.matrix(sites.box)
    np.testing.assert_allclose(box, OBLIQUE * breath.mean(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(moved, np.repeat((walk - walk[0]) @ box, 2, axis=1), atol=5e-5)


def test_vectors_that_flip_are_of_the_same_box(tmp_path):
    """LAMMPS and GROMACS do so where a tilt passes half an edge."""
    frames, walk = in_a_crystal(OBLIQUE, 1 + 0.004 * np.sin(np.arange(FRAMES)))
    frames[0].save_pdb(tmp_path / "topology.pdb")
    vectors = frames.unitcell_vectors.copy()
    vectors[11:20, 2] -= vectors[11:20, 0]
    vectors[15:, 1] -= vectors[15:, 0]
    x = boxes_wrapped(frames.xyz, vectors)
    for name, some in (("one", slice(0, 17)), ("two", slice(17, FRAMES))):
        np.savez(tmp_path / f"{name}.npz", positions=x[some], box=vectors[some])
    sites = project(tmp_path, "one.npz", "two.npz")
    box = boxes.matrix(sites.box)
    for replica, some in zip(sites.replicas(), (walk[:17], walk[17:]), strict=True):
        moved = replica.positions - replica.positions[0]
        np.testing.assert_allclose(moved, np.repeat((some - some[0]) @ box, 2, axis=1), atol=5e-5)


def boxes_wrapped(positions: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Each frame in its own box."""
    return np.array([boxes.wrap(x, v) for x, v in zip(positions, vectors, strict=True)])


def test_a_box_that_is_turned_is_told(tmp_path):
    frames, _ = trajectory()
    frames[0].save_pdb(tmp_path / "topology.pdb")
    turned = EDGE * np.array([[1.0, 0.2, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    np.savez(tmp_path / "run.npz", positions=frames.xyz, box=turned)
    with pytest.raises(DynmatchError, match=r"run.npz: the first vector of the box of frame 0 is"):
        project(tmp_path, "run.npz")


def test_runs_that_move_otherwise_are_told(tmp_path):
    """A DCD file has no times: one with every second frame is not of the same spacing."""
    frames, _ = trajectory()
    frames[0].save_pdb(tmp_path / "topology.pdb")
    frames.save(str(tmp_path / "run.dcd"))
    frames[::2].save(str(tmp_path / "thin.dcd"))
    with pytest.raises(DynmatchError, match=r"frame_spacing: .*thin.dcd move .* of .*run.dcd"):
        project(tmp_path, "run.dcd", "thin.dcd")


def test_atoms_without_weight_have_no_part_in_the_force(tmp_path):
    """W. G. Noid et al.: only atoms that a site's position depends on."""
    frames, _ = trajectory()
    frames[0].save_pdb(tmp_path / "topology.pdb")
    rng = np.random.default_rng(3)
    f = rng.normal(0, 500, frames.xyz.shape).astype(np.float32)
    np.savez(tmp_path / "run.npz", positions=frames.xyz, box=[EDGE] * 3, forces=f)
    heavy = [{"name": "M", "atoms": "all", "weights": [0.0, 12.0, 16.0, 0.0]}]
    sites = project(tmp_path, "run.npz", sites=heavy)
    expected = f.reshape(FRAMES, MOLECULES, 4, 3)[:, :, 1:3].sum(2)
    np.testing.assert_allclose(sites.forces, expected, rtol=1e-4, atol=1e-2)


def test_large_files_are_kept_on_disk_with_the_same_numbers(tmp_path, monkeypatch):
    frames, _ = trajectory()
    frames[0].save_pdb(tmp_path / "topology.pdb")
    frames.save(str(tmp_path / "run.h5"))
    plain = project(tmp_path, "run.h5")
    monkeypatch.setattr(memmap, "LARGE", 0)
    monkeypatch.setattr(memmap, "CHUNK", 4096)
    mapped = project(tmp_path, "run.h5")
    assert isinstance(mapped.positions, np.memmap)
    np.testing.assert_array_equal(mapped.positions, plain.positions)
    write(tmp_path / "sites.h5", mapped)
    np.testing.assert_array_equal(read(tmp_path / "sites.h5").positions, plain.positions)


def test_bonds_that_are_guessed_are_those_that_there_are():
    """The bonds of methanol-like molecules, one of them across a face of an oblique box."""
    frames, _ = crystal(OBLIQUE)
    atoms = read_atoms_of(frames.topology)
    bare = frames.topology.copy()
    bare._bonds = []
    guessed = with_guessed_bonds(read_atoms_of(bare), frames.xyz[0], boxes.reduced(OBLIQUE))
    assert sorted(map(sorted, guessed.bonds)) == sorted(map(sorted, atoms.bonds))
    bare.atom(7).element = mdtraj.element.virtual
    with pytest.raises(DynmatchError, match=r"bonds: the element of MOH1-H2 is not known"):
        with_guessed_bonds(read_atoms_of(bare), frames.xyz[0], boxes.reduced(OBLIQUE))


def read_atoms_of(topology: mdtraj.Topology):
    from dynmatch.systems.trajectory.atoms import Atoms

    return Atoms(topology, np.full(topology.n_atoms, np.nan))


PSF = """PSF CMAP

       1 !NTITLE
 REMARKS without segments

       4 !NATOM
       1 W    1    MOH  H1   HA      0.000000        1.0080           0
       2 W    1    MOH  C    CT      0.000000       14.5000           0
       3 W    1    MOH  O    OH      0.000000       15.9994           0
       4 W    1    MOH  H2   HO      0.000000        1.0080           0

       3 !NBOND: bonds
       1       2       2       3       3       4

"""


def test_names_of_one_file_and_bonds_and_masses_of_another(tmp_path):
    lines = ["methanol", "4"]
    lines += [f"    1MOH  {n:>5}{k:5d}{k:8.3f}{k:8.3f}{k:8.3f}" for k, n in enumerate("abcd", 1)]
    (tmp_path / "conf.gro").write_text("\n".join([*lines, "   2.0   2.0   2.0", ""]))
    (tmp_path / "one.psf").write_text(PSF)
    atoms = read_atoms([tmp_path / "conf.gro", tmp_path / "one.psf"])
    assert [atom.name for atom in atoms.topology.atoms] == list("abcd")
    assert sorted(atoms.bonds) == [(0, 1), (1, 2), (2, 3)]
    assert map_sites(atoms.topology, [], masses=atoms.masses)[0].mass == pytest.approx(32.5154)
    frames, _ = trajectory()
    frames[0].save_pdb(tmp_path / "more.pdb")
    with pytest.raises(DynmatchError, match=r"one.psf has 4 atoms, and .*more.pdb has 108"):
        read_atoms([tmp_path / "more.pdb", tmp_path / "one.psf"])


def test_itp_files_of_gromacs(tmp_path):
    (tmp_path / "mol.itp").write_text(
        "[ moleculetype ]\nMOH 3\n[ atoms ]\n"
        "1 opls_157 1 MOH C 1 0.0 15.035\n2 opls_154 1 MOH O 1 0.0 15.9994\n"
        "3 opls_155 1 MOH H 1 0.0 1.008\n[ bonds ]\n1 2 1\n2 3 1\n"
    )
    (tmp_path / "topol.top").write_text(
        '#include "mol.itp"\n[ system ]\nmethanol\n[ molecules ]\nMOH 3\n'
    )
    atoms = read_atoms([tmp_path / "topol.top"])
    assert atoms.topology.n_residues == 3
    assert len(atoms.bonds) == 6
    np.testing.assert_allclose(atoms.masses[:3], [15.035, 15.9994, 1.008])
    assert atoms.topology.atom(0).element.symbol == "VS", "a mass of 15.035 is that of no element"
    (tmp_path / "topol.top").write_text('#include "no.ff/forcefield.itp"\n[ molecules ]\nMOH 3\n')
    with pytest.raises(DynmatchError, match=r"topol.top: .*forcefield.itp; .* or give the TPR"):
        read_atoms([tmp_path / "topol.top"])


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("run-{1..3}.xtc", ["run-1.xtc", "run-2.xtc", "run-3.xtc"]),
        ("{09..11}/a{1..2}", ["09/a1", "09/a2", "10/a1", "10/a2", "11/a1", "11/a2"]),
        ("plain {seed} name", ["plain {seed} name"]),
        ("run[1].xtc", ["run[1].xtc"]),
    ],
)
def test_ranges_and_plain_names(pattern, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run[1].xtc").touch()
    assert expanded(pattern) == expected


def test_the_home_folder_and_stars(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for number in (1, 2, 10):
        (tmp_path / f"md.part{number:04d}.xtc").touch()
        (tmp_path / f"run{number}.xtc").touch()
    found = [path.rpartition("/")[2] for path in expanded("~/run*.xtc")]
    assert found == ["run1.xtc", "run2.xtc", "run10.xtc"]
    with pytest.raises(DynmatchError, match=r"no file fits ~/\*.trr"):
        expanded("~/*.trr")
