"""A user's own trajectory: the mapping in closed form, formats that agree, and every bad input."""

import logging
from itertools import pairwise

import mdtraj
import numpy as np
import pytest

from dynmatch.errors import DynmatchError
from dynmatch.sites import box as boxes
from dynmatch.sites.mapping import map_sites, site_bonds
from dynmatch.sites.trajectory import read, write
from dynmatch.systems.trajectory.projection import project_own

EDGE = 1.6
SPACING = 0.1
TEMPERATURE = 300.0
FRAMES = 30
MOLECULES = 27
SITES = [
    {"name": "ME", "atoms": "name C or name H1"},
    {"name": "OH", "atoms": "name O or name H2"},
]
CARBON, OXYGEN, HYDROGEN = 12.011, 15.999, 1.008


def methanol_like(count: int = MOLECULES) -> mdtraj.Topology:
    """Molecules H1-C-O-H2, one residue each."""
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for _ in range(count):
        residue = topology.add_residue("MOH", chain)
        atoms = [
            topology.add_atom(name, mdtraj.element.get_by_symbol(name[0]), residue)
            for name in ("H1", "C", "O", "H2")
        ]
        for first, second in pairwise(atoms):
            topology.add_bond(first, second)
    return topology


def trajectory(seed: int = 1, spacing: float = SPACING, step: float = 0.02, frames: int = FRAMES):
    """Rigid molecules on a random walk of `step` nm a frame, wrapped into the box atom by atom."""
    rng = np.random.default_rng(seed)
    nodes = np.stack(np.meshgrid(*[np.arange(3)] * 3), -1).reshape(-1, 3) * EDGE / 3
    molecule = np.array([[-0.03, 0.1, 0.0], [0.0, 0.0, 0.0], [0.14, 0.0, 0.0], [0.17, 0.09, 0.0]])
    walk = np.cumsum(rng.normal(0, step, (frames, MOLECULES, 1, 3)), 0)
    xyz = (nodes[:, None] + molecule + walk).reshape(frames, -1, 3)
    return mdtraj.Trajectory(
        np.mod(xyz, EDGE),
        methanol_like(),
        time=spacing * np.arange(frames),
        unitcell_lengths=np.full((frames, 3), EDGE),
        unitcell_angles=np.full((frames, 3), 90.0),
    ), xyz


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The same trajectory in several formats, with its topology, and the unwrapped coordinates."""
    folder = tmp_path_factory.mktemp("own")
    frames, xyz = trajectory()
    frames[0].save_pdb(folder / "topology.pdb")
    for suffix in ("h5", "xtc", "trr", "dcd", "nc"):
        frames.save(str(folder / f"run.{suffix}"))
    return folder, xyz


def project(folder, *names: str, sites=SITES, spacing: float = SPACING, **keywords):
    return project_own(
        folder / "topology.pdb",
        [folder / name for name in names],
        spacing,
        TEMPERATURE,
        sites,
        **keywords,
    )


@pytest.mark.parametrize("suffix", ["h5", "xtc", "trr", "dcd", "nc"])
def test_sites_are_the_centres_of_mass_of_their_groups_followed_through_the_box(files, suffix):
    """XTC rounds to 1e-3 nm."""
    folder, xyz = files
    sites = project(folder, f"run.{suffix}")
    atoms = xyz.reshape(FRAMES, MOLECULES, 4, 3)
    methyl = (HYDROGEN * atoms[:, :, 0] + CARBON * atoms[:, :, 1]) / (HYDROGEN + CARBON)
    hydroxyl = (OXYGEN * atoms[:, :, 2] + HYDROGEN * atoms[:, :, 3]) / (OXYGEN + HYDROGEN)
    expected = np.stack([methyl, hydroxyl], 2).reshape(FRAMES, -1, 3)
    # in one of the images: what it is at the start is not in the file
    apart = sites.positions - expected
    apart -= EDGE * np.round(apart[0] / EDGE)
    np.testing.assert_allclose(apart, 0, atol=2e-3 if suffix == "xtc" else 1e-5)
    bond = sites.positions[:, 1::2] - sites.positions[:, ::2]
    assert np.linalg.norm(bond, axis=-1).max() < 0.3, "sites of a molecule stay together"
    assert sites.frame_spacing == pytest.approx(SPACING)
    np.testing.assert_allclose(sites.box, EDGE, rtol=1e-6)
    np.testing.assert_allclose(sites.masses[:2], [HYDROGEN + CARBON, OXYGEN + HYDROGEN], rtol=1e-4)


def test_a_system_in_no_box_is_put_in_one_in_which_images_do_not_meet(files, tmp_path):
    """Molecules that are whole and leave the box they started in; none diffuses as in a liquid."""
    folder, xyz = files
    frames, _ = trajectory()
    frames.xyz, frames.unitcell_vectors = xyz, None
    frames.save(str(tmp_path / "run.h5"))
    sites = project_own(
        folder / "topology.pdb",
        [tmp_path / "run.h5"],
        SPACING,
        TEMPERATURE,
        SITES,
        cutoffs={"potential.cutoff": 0.7, "observables.shell_cutoff": 0.5},
        periodic=False,
    )
    atoms = xyz.reshape(FRAMES, MOLECULES, 4, 3)
    methyl = (HYDROGEN * atoms[:, :, 0] + CARBON * atoms[:, :, 1]) / (HYDROGEN + CARBON)
    np.testing.assert_allclose(sites.positions[:, ::2], methyl, atol=1e-5)
    extent = np.ptp(sites.positions, axis=1).max()
    np.testing.assert_allclose(sites.box, 2 * extent + 0.7, rtol=1e-6)
    with pytest.raises(DynmatchError, match=r"has no box; .* set reference.periodic to false"):
        project_own(folder / "topology.pdb", [tmp_path / "run.h5"], SPACING, TEMPERATURE, SITES)


def test_sites_carry_the_bonds_of_their_atoms(files):
    sites = project(files[0], "run.h5")
    bonds = list(sites.topology.bonds)
    assert bonds == [(2 * k, 2 * k + 1) for k in range(MOLECULES)]
    assert sites.topology.names[:4] == ("ME", "OH", "ME", "OH")
    molecules = sites.topology.molecules
    assert [list(each) for each in molecules] == [[2 * k, 2 * k + 1] for k in range(MOLECULES)]


def test_every_file_is_a_replica(files):
    sites = project(files[0], "run.xtc", "run.dcd", sites=[])
    assert [replica.n_frames for replica in sites.replicas()] == [FRAMES, FRAMES]
    assert sites.n_sites == MOLECULES


def test_without_definitions_a_site_is_a_residue():
    sites = map_sites(methanol_like(), [])
    assert {site.name for site in sites} == {"MOH"}
    np.testing.assert_allclose(
        [site.mass for site in sites], CARBON + OXYGEN + 2 * HYDROGEN, rtol=1e-4
    )


def test_explicit_groups_and_weights():
    """1/M = sum c^2/m: for the two equal weights here, M = 4/(1/m_C + 1/m_O)."""
    definition = {"name": "MID", "atoms": [1, 2], "weights": [3.0, 3.0]}
    (site,) = map_sites(methanol_like(1), [definition])
    np.testing.assert_allclose(site.weights, [0.5, 0.5])
    assert site.mass == pytest.approx(4 / (1 / CARBON + 1 / OXYGEN), rel=1e-4)
    (site,) = map_sites(methanol_like(1), [{**definition, "mass": 31.0}])
    assert site.mass == 31.0


def test_sites_are_bonded_through_atoms_that_are_in_no_site():
    topology = methanol_like(2)
    ends = [{"name": "A", "atoms": "name H1"}, {"name": "B", "atoms": "name H2"}]
    assert site_bonds(topology, map_sites(topology, ends)) == [(0, 1), (2, 3)]


def test_atoms_in_no_site_are_warned_of(caplog):
    with caplog.at_level(logging.WARNING):
        map_sites(methanol_like(2), [{"name": "OH", "atoms": "name O"}])
    assert "6 of 8 atoms are in no site, the first of them MOH" in caplog.text


MAPPING_MISTAKES = {
    "overlap": (
        [{"name": "A", "atoms": "name C O"}, {"name": "B", "atoms": "name O"}],
        r"reference.sites: atom MOH0-O \(index 2\) is in a site A and in a site B; groups must not",
    ),
    "empty selection": (
        [{"name": "A", "atoms": "name CA"}],
        r"reference.sites\[0\].atoms: 'name CA' selects no atom of the topology; its atoms are "
        "called H1, C, O, H2",
    ),
    "no selection": (
        [{"name": "A", "atoms": "nane C"}],
        r"reference.sites\[0\].atoms: 'nane C' is no selection that MDTraj understands",
    ),
    "no such atom": (
        [{"name": "A", "atoms": [1, 800]}],
        r"reference.sites\[0\].atoms: there is no atom 800; the topology has 8, counted from 0",
    ),
    "twice in a group": (
        [{"name": "A", "atoms": [1, 1]}],
        r"reference.sites\[0\].atoms: an atom comes twice",
    ),
    "number of weights": (
        [{"name": "A", "atoms": "name C O", "weights": [1.0]}],
        r"reference.sites\[0\].weights: 1 weights for a group of 2 atoms",
    ),
    "weights of zero": (
        [{"name": "A", "atoms": "name C O", "weights": [0.0, 0.0]}],
        r"reference.sites\[0\].weights: all weights are 0",
    ),
}


@pytest.mark.parametrize(
    ("definitions", "expected"), MAPPING_MISTAKES.values(), ids=MAPPING_MISTAKES
)
def test_a_mistake_in_the_mapping_is_named(definitions, expected):
    with pytest.raises(DynmatchError, match=expected):
        map_sites(methanol_like(2), definitions)


@pytest.mark.parametrize("definitions", [[], [{"name": "A", "atoms": "name O"}]])
def test_unknown_elements_have_no_mass(definitions):
    topology = methanol_like(1)
    for atom in topology.atoms:
        atom.element = mdtraj.element.virtual
    with pytest.raises(DynmatchError, match=r"not known; give (weights and|the) mass"):
        map_sites(topology, definitions)
    weighted = [{"name": "A", "atoms": "name O", "weights": [1.0]}]
    with pytest.raises(DynmatchError, match=r"sites\[0\].mass: the elements .* give the mass"):
        map_sites(topology, weighted)


def without_box(frames):
    frames.unitcell_vectors = None


def impossible(frames):
    frames.unitcell_angles = np.tile([120.0, 120.0, 130.0], (FRAMES, 1))


def breathing(frames):
    frames.unitcell_lengths = frames.unitcell_lengths * np.linspace(1, 1.1, FRAMES)[:, None]


def gap(frames):
    frames.time = np.where(np.arange(FRAMES) < 20, frames.time, frames.time + 1)


def angstrom(frames):
    frames.xyz *= 10
    frames.unitcell_lengths = 10 * frames.unitcell_lengths


def reordered(frames):
    """All first atoms of the molecules, then all second ones, ..."""
    order = np.arange(4 * MOLECULES).reshape(MOLECULES, 4).T.ravel()
    frames.xyz = frames.xyz[:, order]


def broken(frames):
    frames.xyz[7, 3, 1] = np.nan


FILE_MISTAKES = {
    "no box": (
        without_box,
        "run.h5: has no box; give its edges, nm, as reference.edges, write the trajectory in a ",
    ),
    "no such box": (impossible, r"run.h5: its box has angles of .*130.* which no box has"),
    "changing box": (breathing, r"reference.box: the box changes, .* of 2.8 %.* set it to scale"),
    "gap": (gap, "run.h5: frames are missing or repeated after 1.9 ps, .* from 0.1 to 1.1 ps"),
    "Angstrom": (angstrom, "run.h5: the nearest neighbour of an atom is 1.* nm away on average"),
    "another order": (reordered, "run.h5: atoms that the topology bonds are .* in another order"),
    "not a number": (broken, "run.h5: positions of frame 7 are not finite numbers"),
}


@pytest.mark.parametrize(("spoil", "expected"), FILE_MISTAKES.values(), ids=FILE_MISTAKES)
def test_a_trajectory_that_cannot_be_used_is_named(spoil, expected, tmp_path):
    frames, _ = trajectory()
    frames[0].save_pdb(tmp_path / "topology.pdb")
    spoil(frames)
    frames.save(str(tmp_path / "run.h5"))
    with pytest.raises(DynmatchError, match=expected):
        project(tmp_path, "run.h5")


def test_a_spacing_at_odds_with_the_file(files):
    with pytest.raises(DynmatchError, match=r"frame_spacing is 0.2 ps, but the frames of .*0.1 ps"):
        project(files[0], "run.xtc", spacing=0.2)


@pytest.mark.parametrize("suffix", ["h5", "xtc", "dcd", "nc"])
def test_a_trajectory_of_other_atoms(files, suffix, tmp_path):
    folder, _ = files
    frames, _ = trajectory()
    frames.atom_slice(np.arange(40)).save(str(tmp_path / f"run.{suffix}"))
    with pytest.raises(DynmatchError, match=r"has 40 atoms, not the 108 of the topology .*pdb"):
        project_own(
            folder / "topology.pdb", [tmp_path / f"run.{suffix}"], SPACING, TEMPERATURE, SITES
        )


def test_files_that_are_not_what_they_are_called(files, tmp_path):
    (tmp_path / "run.xtc").write_text("nothing")
    (tmp_path / "top.pdb").write_bytes(b"\x89HDF")
    with pytest.raises(DynmatchError, match=r"run.xtc: cannot be read as a trajectory"):
        project_own(files[0] / "topology.pdb", [tmp_path / "run.xtc"], SPACING, TEMPERATURE)
    with pytest.raises(DynmatchError, match=r"reference.topology: .* cannot be read as a topology"):
        project_own(tmp_path / "top.unknown", [files[0] / "run.xtc"], SPACING, TEMPERATURE)


def test_a_cutoff_beyond_half_the_box(files):
    with pytest.raises(DynmatchError, match=r"potential.cutoff: 0.9 nm .* take at most 0.8 nm"):
        project(files[0], "run.h5", cutoffs={"potential.cutoff": 0.9})


def test_boxes_that_differ_between_files(files, tmp_path):
    frames, _ = trajectory()
    frames.unitcell_lengths = 1.1 * frames.unitcell_lengths
    frames.save(str(tmp_path / "other.h5"))
    with pytest.raises(DynmatchError, match=r"reference.box: the box changes, .* of 4.8 %, "):
        project(files[0], "run.h5", tmp_path / "other.h5")


TIME_MISTAKES = {
    "ps given as ns": (1e-4, 0.02, "farther than free flight at 300 K would take them"),
    "fs given as ps": (100.0, 0.02, "diffuse with D = .*, which no liquid does"),
}


@pytest.mark.parametrize(("spacing", "step", "expected"), TIME_MISTAKES.values(), ids=TIME_MISTAKES)
def test_times_in_other_units(spacing, step, expected, tmp_path):
    """A walk of 0.02 nm a frame, D = 0.002 nm^2/ps at 0.1 ps."""
    frames, _ = trajectory(step=step)
    frames[0].save_pdb(tmp_path / "topology.pdb")
    frames.save(str(tmp_path / "run.dcd"))
    with pytest.raises(DynmatchError, match=expected):
        project(tmp_path, "run.dcd", spacing=spacing)


def in_a_crystal(box: np.ndarray, breath: np.ndarray) -> tuple[mdtraj.Trajectory, np.ndarray]:
    """Molecules that walk in units of the box's vectors, while these change by the factors `breath`
    (F,); and their walk (F, M, 3) in these units."""
    frames, _ = trajectory(step=0.0)
    walk = np.cumsum(np.random.default_rng(3).normal(0, 0.012, (FRAMES, MOLECULES, 3)), 0)
    parts = frames.xyz.astype(np.float64) / EDGE + np.repeat(walk, 4, axis=1)
    vectors = breath[:, None, None] * box
    frames.unitcell_vectors = vectors
    frames.xyz = np.mod(parts, 1.0) @ vectors
    return frames, walk


OBLIQUE = EDGE * np.array([[1.1, 0, 0], [0.4, 1.0, 0], [0.55, 0.4, 1.0]])


@pytest.mark.parametrize("box", [EDGE * np.eye(3), OBLIQUE], ids=["cube", "oblique"])
@pytest.mark.parametrize(("depth", "key"), [(0.0, "mean"), (0.005, "mean"), (0.04, "scale")])
def test_a_breathing_crystal_is_still_in_the_mean_box(box, depth, key, tmp_path, caplog):
    """Affine motion is taken off exactly: what is left is the walk, in the mean box."""
    breath = 1 + depth * np.sin(2 * np.pi * np.arange(FRAMES) / FRAMES)
    frames, walk = in_a_crystal(box, breath)
    frames[0].save_pdb(tmp_path / "topology.pdb")
    frames.save(str(tmp_path / "run.h5"))
    with caplog.at_level(logging.INFO):
        sites = project(tmp_path, "run.h5", box=key)
    np.testing.assert_allclose(boxes.matrix(sites.box), box, rtol=1e-5, atol=1e-6)
    moved = sites.positions - sites.positions[0]
    expected = np.repeat((walk - walk[0]) @ box, 2, axis=1)
    np.testing.assert_allclose(moved, expected, atol=2e-5)
    bonds = np.linalg.norm(sites.positions[:, 1::2] - sites.positions[:, ::2], axis=-1)
    assert np.ptp(bonds, axis=0).max() < 1e-5
    write(tmp_path / "sites.h5", sites)
    kept = read(tmp_path / "sites.h5")
    np.testing.assert_allclose(kept.box, sites.box, rtol=1e-7)
    if depth:
        np.testing.assert_allclose(sites.scale, 1 / breath, rtol=1e-5)
        np.testing.assert_array_equal(kept.scale, sites.scale)
        assert "are scaled to its mean, by factors from" in caplog.text
    else:
        assert sites.scale is None
        assert kept.scale is None
        assert "scaled" not in caplog.text


@pytest.mark.parametrize("suffix", ["h5", "xtc", "trr", "dcd", "nc"])
def test_oblique_boxes_are_read_from_every_format(suffix, tmp_path):
    """A dodecahedron, whose third vector lies at half of the others, in which molecules walk."""
    vectors = EDGE * np.array([[1.2, 0, 0], [0, 1.2, 0], [0.6, 0.6, 1.2 / np.sqrt(2)]])
    rng = np.random.default_rng(2)
    frames, _ = trajectory(step=0.0)
    parts = frames.xyz.astype(np.float64) / EDGE @ vectors
    walk = np.cumsum(rng.normal(0, 0.02, (FRAMES, MOLECULES, 1, 3)), 0)
    whole = parts + np.repeat(walk, 4, axis=2).reshape(FRAMES, -1, 3)
    frames.unitcell_vectors = np.tile(vectors, (FRAMES, 1, 1))
    frames.xyz = boxes.wrap(whole, vectors)
    frames[0].save_pdb(tmp_path / "topology.pdb")
    frames.save(str(tmp_path / f"run.{suffix}"))
    sites = project(tmp_path, f"run.{suffix}", sites=[])
    np.testing.assert_allclose(boxes.matrix(sites.box), vectors, atol=1e-5)
    np.testing.assert_allclose(
        sites.positions - sites.positions[0], walk[:, :, 0] - walk[0, :, 0], atol=3e-3
    )
