"""A trained model as a calculator of the Atomic Simulation Environment (ASE; Angstrom, eV)."""

from pathlib import Path

import ase.units
from ase.calculators.calculator import Calculator, all_changes

from dynmatch.api import load_model
from dynmatch.errors import DynmatchError
from dynmatch.sites.topology import SiteTopology

ENERGY = ase.units.kJ / ase.units.mol
LENGTH = ase.units.nm


class DynmatchCalculator(Calculator):
    """Energy (eV) and forces (eV/Angstrom) of the model in the file `path`, a model.yaml.

    One site is one atom of any kind; their `topology` has to be given where the model has several
    types of sites or bonds. The cell is orthorhombic and periodic.
    """

    implemented_properties = ("energy", "free_energy", "forces")

    def __init__(self, path: str | Path, topology: SiteTopology | None = None, **keywords):
        super().__init__(**keywords)
        self.topology = topology
        self.model = load_model(path)

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        if not (self.atoms.pbc.all() and self.atoms.cell.orthorhombic):
            raise DynmatchError("the model needs an orthorhombic cell, periodic in all directions")
        positions, box = self.atoms.positions / LENGTH, self.atoms.cell.lengths() / LENGTH
        energy, forces = self.model.evaluate(positions, box, self.topology)
        self.results = {
            "energy": energy * ENERGY,
            "free_energy": energy * ENERGY,
            "forces": forces * (ENERGY / LENGTH),
        }
