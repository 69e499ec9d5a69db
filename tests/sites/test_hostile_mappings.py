"""Mapping definitions that were generated, in every form that there is: sites as selections and as
lists, molecules, files of VOTCA and of PyCGTOOL.

Right ones give the sites in closed form; one with a fault ends in a line that names the key or the
file, or maps what it says.
"""

import copy
from itertools import pairwise

import mdtraj
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynmatch.errors import DynmatchError
from dynmatch.sites.mapping import map_sites
from dynmatch.systems.trajectory.mappings import read_mapping
from dynmatch.workflow.config import complete
from tests.helpers.generated import lenient
from tests.workflow.test_hostile_configs import HOSTILE

pytestmark = pytest.mark.usefixtures("little_memory")

LENIENT = lenient(30)
"""The number in docs/reliability.md is of a run with 100."""
ATOMS = ("C1", "H1", "H2", "C2", "H3", "O1", "H4", "N1")
MASSES = np.array([{"C": 12.011, "H": 1.008, "O": 15.999, "N": 14.007}[name[0]] for name in ATOMS])
MOLECULES = 3


def topology() -> mdtraj.Topology:
    """Molecules of a residue each, whose atoms are bonded in a row."""
    made = mdtraj.Topology()
    chain = made.add_chain()
    for _ in range(MOLECULES):
        residue = made.add_residue("MOL", chain)
        atoms = [
            made.add_atom(name, mdtraj.element.get_by_symbol(name[0]), residue) for name in ATOMS
        ]
        for pair in pairwise(atoms):
            made.add_bond(*pair)
    return made


@st.composite
def groups(draw) -> list[tuple[list[int], list[float]]]:
    """Atoms of the sites of a molecule, each in one site at most, and weights or none."""
    order = draw(st.permutations(range(len(ATOMS))))
    cuts = sorted(draw(st.sets(st.integers(1, len(ATOMS)), min_size=1, max_size=4)))
    parts = [sorted(order[a:b]) for a, b in pairwise([0, *cuts])]
    numbers = st.one_of(st.just(1.0), st.floats(0.1, 100.0))
    return [
        (
            part,
            draw(st.one_of(st.just([]), st.lists(numbers, min_size=len(part), max_size=len(part)))),
        )
        for part in parts
    ]


def sites_of(made, atom, name="S{}") -> list[dict]:
    return [
        {"name": name.format(number), "atoms": [atom(a) for a in part], "weights": weights}
        for number, (part, weights) in enumerate(made)
    ]


def selections(made) -> dict:
    sites = sites_of(made, lambda a: ATOMS[a])
    return {"sites": [site | {"atoms": f"name {' '.join(site['atoms'])}"} for site in sites]}


def lists(made) -> dict:
    """The sites of all molecules, one after the other."""
    each = [sites_of(made, lambda a, m=m: m * len(ATOMS) + a) for m in range(MOLECULES)]
    return {"sites": [site for sites in each for site in sites]}


def by_name(made) -> dict:
    return {"molecules": [{"select": "resname MOL", "sites": sites_of(made, lambda a: ATOMS[a])}]}


def by_number(made) -> dict:
    return {"molecules": [{"select": "all", "size": len(ATOMS), "sites": sites_of(made, int)}]}


FORMS = {form.__name__: form for form in (selections, lists, by_name, by_number)}


def votca(made) -> str:
    beads, maps = "", ""
    for number, (part, weights) in enumerate(made):
        atoms = " ".join(f"1:MOL:{ATOMS[a]}" for a in part)
        beads += f"<cg_bead><name>B{number}</name><type>S{number}</type>"
        beads += f"<mapping>M{number}</mapping><beads> {atoms} </beads></cg_bead>\n"
        given = " ".join(map(repr, weights or MASSES[part].tolist()))
        maps += f"<map><name>M{number}</name><weights> {given} </weights></map>\n"
    return (
        f"<cg_molecule><name>mol</name><ident>MOL</ident><topology><cg_beads>\n{beads}</cg_beads>"
        f"</topology><maps>\n{maps}</maps></cg_molecule>"
    )


def pycgtool(made) -> str:
    rows = [f"B{n} S{n} {' '.join(ATOMS[a] for a in part)}" for n, (part, _) in enumerate(made)]
    return "\n".join(["[MOL]", *rows]) + "\n"


FILES = {"xml": votca, "map": pycgtool}


def mapped(definitions: dict):
    """Sites of a config that has these definitions, as the workflow maps them."""
    reference = {"topology": "a.pdb", "trajectories": ["a.xtc"], "frame_spacing": 0.1}
    system = {"kind": "trajectory", "reference": reference | definitions}
    (found,) = complete({"models": ["ld"], "systems": {"own": system}})["systems"].values()
    return map_sites(
        topology(), found["reference"]["sites"], "reference", found["reference"]["molecules"]
    )


def assert_mapped(sites, made) -> None:
    """R = sum c_i r_i, with sum c_i = 1 and 1/M = sum c_i^2/m_i."""
    assert len(sites) == MOLECULES * len(made)
    for number, site in enumerate(sites):
        molecule, place = divmod(number, len(made))
        part, weights = made[place]
        share = np.array(weights or MASSES[part]) / np.sum(weights or MASSES[part])
        assert site.name == f"S{place}"
        np.testing.assert_array_equal(site.atoms, np.array(part) + molecule * len(ATOMS))
        np.testing.assert_allclose(site.weights, share, rtol=1e-4)
        assert site.mass == pytest.approx(1 / np.sum(share**2 / MASSES[part]), rel=1e-3)


@LENIENT
@given(groups(), st.sampled_from(sorted(FORMS)))
def test_what_is_right_gives_the_same_sites_in_every_form(made, form):
    assert_mapped(mapped(FORMS[form](made)), made)


@LENIENT
@given(groups(), st.sampled_from(sorted(FILES)))
def test_files_of_other_programs_give_the_same_sites(tmp_path, made, suffix):
    path = tmp_path / f"molecule.{suffix}"
    path.write_text(FILES[suffix](made))
    # PyCGTOOL's have no weights
    made = made if suffix == "xml" else [(part, []) for part, _ in made]
    assert_mapped(mapped(read_mapping(path)), made)


def assert_sense(sites) -> None:
    """Of whatever was asked for: weighted means of atoms that there are, each in one site."""
    atoms = np.concatenate([site.atoms for site in sites])
    assert len(set(atoms.tolist())) == len(atoms)
    assert 0 <= atoms.min() <= atoms.max() < MOLECULES * len(ATOMS)
    for site in sites:
        assert (site.weights >= 0).all()
        assert site.weights.sum() == pytest.approx(1.0, rel=1e-9)
        assert 0.1 <= site.mass <= 1e6


MORE = st.sampled_from([10**23, [10**23], [-1], [0, 0], "all", "name", "((", "C1", [1e-320] * 3])


@LENIENT
@given(groups(), st.sampled_from(sorted(FORMS)), st.data(), st.one_of(HOSTILE, MORE))
def test_one_value_is_anything(made, form, data, value):
    definitions = copy.deepcopy(FORMS[form](made))
    (section, entries) = next(iter(definitions.items()))
    entry = data.draw(st.sampled_from(entries))
    if section == "molecules" and data.draw(st.booleans()):
        entry = data.draw(st.sampled_from(entry["sites"]))
    key = data.draw(st.sampled_from([*entry, "mass"]))
    entry[key] = value
    try:
        sites = mapped(definitions)
    except DynmatchError as error:
        first = str(error).splitlines()[0]
        assert first.startswith(
            (f"config: systems.own.reference.{section}", f"reference.{section}")
        )
        assert key in first or "overlap" in first, (key, value, first)
        return
    assert_sense(sites)


TOKENS = st.sampled_from(
    [
        "nan",
        "-1",
        "1e400",
        "0",
        "x",
        "",
        ":",
        "1:MOL",
        "9:MOL:C1",
        "C1",
        "é",
        "<",
        "&x;",
        "[",
        "@",
        "\0",
    ]
)


@LENIENT
@given(groups(), st.sampled_from(sorted(FILES)), st.data(), TOKENS)
def test_one_word_of_a_file_is_anything(tmp_path, made, suffix, data, token):
    words = FILES[suffix](made).split(" ")
    place = data.draw(st.integers(0, len(words) - 1))
    path = tmp_path / f"molecule.{suffix}"
    path.write_text(" ".join([*words[:place], token, *words[place + 1 :]]))
    try:
        definitions = read_mapping(path)
    except DynmatchError as error:
        (line,) = str(error).splitlines()
        assert line.startswith(f"{path}: no mapping"), line
        return
    try:
        sites = mapped(definitions)
    except DynmatchError as error:
        assert "reference.molecules[" in str(error).splitlines()[0], error
        return
    assert_sense(sites)
