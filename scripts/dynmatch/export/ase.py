"""A trained model as a calculator of the Atomic Simulation Environment (ASE; Angstrom, eV)."""

from pathlib import Path

import ase.units
from ase.calculators.calculator import Calculator, all_changes

from dynmatch.api import load_model
from dynmatch.errors import DynmatchError
from dynmatch.sites.box import reduced
from dynmatch.sites.topology import SiteTopology

ENERGY = ase.units.kJ / ase.units.mol
LENGTH = ase.units.nm


class DynmatchCalculator(Calculator):
    """Energy (eV) and forces (eV/Angstrom) of the model in the file `path`, a model.yaml.

    One site is one atom of any kind; their `topology` has to be given where the model has several
    types of sites or bonds. The cell is periodic, of any shape.
    """

    implemented_properties = ("energy", "free_energy", "forces")

    def __init__(self, path: str | Path, topology: SiteTopology | None = None, **keywords):
        super().__init__(**keywords)
        self.topology = topology
        self.model = load_model(path)

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        if not (self.atoms.pbc.all() and self.atoms.cell.rank == 3):
            raise DynmatchError("the model needs a cell, periodic in all directions")
        # turned so that the first vector is along x and the second in the xy plane
        cell, turn = self.atoms.cell.standard_form()
        positions = self.atoms.positions @ turn.T / LENGTH
        energy, forces = self.model.evaluate(positions, reduced(cell / LENGTH), self.topology)
        self.results = {
            "energy": energy * ENERGY,
            "free_energy": energy * ENERGY,
            "forces": forces @ turn * (ENERGY / LENGTH),
        }
