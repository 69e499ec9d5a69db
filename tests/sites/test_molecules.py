"""One molecule is mapped, and its mapping repeated: VOTCA's hexane A-B-A, in six residues each."""

import mdtraj
import numpy as np
import pytest

from dynmatch.errors import DynmatchError
from dynmatch.sites.mapping import map_sites, site_bonds, site_topology
from dynmatch.sites.molecules import bonds_of

MOLECULES = 27
SITES = [
    {"name": "A", "atoms": [0, 1, 2, 3, 4, 5, 6]},
    {"name": "B", "atoms": [7, 8, 9, 10, 11, 12]},
    {"name": "A", "atoms": [13, 14, 15, 16, 17, 18, 19]},
]
C, H = 12.011, 1.008


def hexanes(bonds: bool) -> mdtraj.Topology:
    """CH3-(CH2)4-CH3, a residue each group; atoms of a molecule follow one another."""
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for _ in range(MOLECULES):
        last = None
        for hydrogens in (3, 2, 2, 2, 2, 3):
            residue = topology.add_residue(f"CH{hydrogens}", chain)
            carbon = topology.add_atom("C", mdtraj.element.carbon, residue)
            for n in range(hydrogens):
                atom = topology.add_atom(f"H{n + 1}", mdtraj.element.hydrogen, residue)
                if bonds:
                    topology.add_bond(carbon, atom)
            if bonds and last:
                topology.add_bond(last, carbon)
            last = carbon
    return topology


def definition(**changes) -> dict:
    return {"select": "all", "size": 0, "sites": SITES, "bonds": []} | changes


@pytest.mark.parametrize(
    ("bonds", "molecule"),
    [(True, definition()), (False, definition(size=20, bonds=[[0, 1], [1, 2]]))],
    ids=["by bonds", "by size"],
)
def test_hexane_on_three_sites(bonds, molecule):
    """81 sites and 54 bonds; a site's mass is that of its atoms: C2H5 and C2H4."""
    topology = hexanes(bonds)
    sites = map_sites(topology, [], molecules=[molecule])
    assert [site.name for site in sites] == ["A", "B", "A"] * MOLECULES
    np.testing.assert_allclose(
        [site.mass for site in sites][:3], np.dot([[2, 5], [2, 4], [2, 5]], [C, H]), rtol=1e-4
    )
    bonds = site_bonds(topology, sites, bonds_of(topology, [molecule], "reference"))
    made = site_topology(topology, sites, bonds)
    assert len(made.bonds) == 2 * MOLECULES
    assert set(map(len, made.molecules)) == {3}
    for number, molecule in enumerate(made.molecules):
        assert sorted(molecule) == [3 * number, 3 * number + 1, 3 * number + 2]


def test_atoms_are_named_where_names_are_unique():
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for _ in range(4):
        residue = topology.add_residue("MOH", chain)
        for name in ("C", "H1", "H2", "H3", "O", "HO"):
            topology.add_atom(name, mdtraj.element.get_by_symbol(name[0]), residue)
    named = [{"name": "ME", "atoms": ["C", "H1", "H2", "H3"]}, {"name": "OH", "atoms": ["O", "HO"]}]
    molecules = [definition(size=6, sites=named, bonds=[[0, 1]])]
    sites = map_sites(topology, [], molecules=molecules)
    assert [site.atoms.tolist() for site in sites[2:4]] == [[6, 7, 8, 9], [10, 11]]
    more = bonds_of(topology, molecules, "reference")
    assert site_bonds(topology, sites, more) == [(0, 1), (2, 3), (4, 5), (6, 7)]


MISTAKES = {
    "no selection": (
        definition(select="name =="),
        r"molecules\[0\].select: .* is no sel",
    ),
    "nothing": (definition(select="resname XYZ"), r"select: 'resname XYZ' selects no atom"),
    "size": (definition(size=19), r"size: 540 atoms are no whole number of molecules of 19"),
    "other atoms": (
        definition(size=10),
        r"molecule 1 has the atoms C H1 H2 C .*, and the first C H1",
    ),
    "name": (
        definition(sites=[{"name": "A", "atoms": ["C"]}]),
        r"sites\[0\].atoms: 6 atoms of the molecule are called C; count them from 0",
    ),
    "index": (definition(sites=[{"name": "A", "atoms": [20]}]), "no atom 20 in a molecule of 20"),
    "bond": (definition(bonds=[[0, 3]]), "there are no sites 0 and 3 to bond"),
}


@pytest.mark.parametrize(("molecule", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_names_its_key(molecule, expected):
    topology = hexanes(True)
    with pytest.raises(DynmatchError, match=expected):
        map_sites(topology, [], molecules=[molecule])
        bonds_of(topology, [molecule], "reference")
