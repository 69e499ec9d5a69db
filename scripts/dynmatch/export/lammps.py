r"""A trained model as input files for LAMMPS, in `units real` (Angstrom, fs, g/mol, kcal/mol, K).

    in.lammps        the input script, with the learned dynamics
    initial.data     one configuration, with the bonds, angles and dihedrals of molecules
    pair.table       u(r) of each pair of types for `pair_style table`
    threebody.uf3    w(r_ij, r_ik, r_jk) of each triple for `pair_style uf3`, as cubic B-splines
    bonded.table     energies of each kind of bond, angle and dihedral, for their styles `table`
    gle*.A           the memory of a model that has one, for `fix gle`, of each type

Table and splines need a linear three-body term. LAMMPS's `threebody/table` would carry it as well,
but takes the nearest node of its grid; `uf3` is twice continuously differentiable, and its forces
are the exact gradient of its energy. For a network the script leaves the forces to `fix external`
and `dynmatch.export.lammps_driver`.

Everything is in physical time t: with tau = alpha t, friction gamma/alpha and mass m/alpha^2.
"""

from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
from scipy.interpolate import BSpline

from dynmatch.errors import DynmatchError
from dynmatch.export import lammps_box
from dynmatch.export.lammps_script import (
    ANGSTROM,
    BONDED_NODES,
    KCAL,
    bonded_kinds,
    bonded_section,
    input_script,
    labels,
    motion_of,
    pair_section,
    site_masses,
)
from dynmatch.export.triplets import PairsAndTriplets, require_written, write_out
from dynmatch.model import Model
from dynmatch.potentials.base import type_pairs
from dynmatch.potentials.bonded import Kind
from dynmatch.sites.box import is_rectangular, matrix, wrap
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.storage.atomic import replacing

PAIR_NODES = 2000
WIDTHS = 12.0
"""Standard deviations of a bond's prior from its centre and its spline to the ends of its table;
LAMMPS stops should a bond ever be longer."""
INTERVALS = (32, 40)
"""Of the splines of w in r_ij and r_ik, and in r_jk, of which w is a mere polynomial.

LAMMPS reads 1023 characters of a line, which holds all coefficients in r_jk.
"""
NODES_PER_INTERVAL = 3
RESOLUTION = 1e-8
"""nm, of numbers in the file of splines."""


def write(folder: str | Path, model: Model, start: SiteTrajectory, name: str) -> list[Path]:
    """Write the files of `model` into `folder`; its configuration is the last frame of `start`.

    `name` is what the model is called in comments. Returns the files.

    Raises DynmatchError when the model has other terms than these files can hold: a network of
    several types or with bonds, torsions of a molecule by itself.
    """
    require_written(model)
    network = bool(model.potential.term("three_body").hidden)
    if network and (len(model.potential.names) > 1 or model.potential.term("bonded")):
        raise DynmatchError(
            "a network of several types of sites or with bonds is not written for LAMMPS; run it "
            "with the script in openmm/, ASE or Python (docs/api.md)"
        )
    folder = Path(folder)
    texts = {
        "in.lammps": input_script(model, name),
        "initial.data": data_file(model, start, name),
    }
    if not network:
        written = write_out(model)
        texts["pair.table"] = pair_tables(written)
        texts["threebody.uf3"] = triplet_splines(written)
        texts |= lammps_box.files(model, start, name, written)
    if model.potential.term("bonded"):
        texts["bonded.table"] = bonded_tables(model)
    texts |= motion_of(model).files(model)
    for file, text in texts.items():
        with replacing(folder / file) as path:
            path.write_text(text, encoding="utf-8")
    return [folder / file for file in texts]


def pair_tables(written: PairsAndTriplets) -> str:
    """u(r) and -u'(r) on a uniform grid, of each pair of types: sections of a file for `pair_style
    table`.

    They begin at half the least core radius, where u is thousands of kB T; LAMMPS stops should a
    pair ever come closer.
    """
    r = np.linspace(written.shortest, written.pair_form.cutoff, PAIR_NODES)
    names = labels(written.names)
    lines = ["# number, r (Angstrom), energy (kcal/mol), force (kcal/mol/Angstrom)"]
    for a, b in type_pairs(len(names)):
        u, slope = (written.pair(r, order, (a, b)) for order in (0, 1))
        columns = np.column_stack([ANGSTROM * r, KCAL * u, -KCAL / ANGSTROM * slope])
        lines += [
            pair_section(names[a], names[b]),
            f"N {len(r)} R {columns[0, 0]:.10g} {columns[-1, 0]:.10g}",
            "",
            *[f"{i} {x:.10g} {e:.10g} {f:.10g}" for i, (x, e, f) in enumerate(columns, 1)],
            "",
        ]
    return "\n".join(lines)


def bonded_tables(model: Model) -> str:
    """Energies and forces of each kind of bond (Angstrom), angle and dihedral (degrees): sections
    of a file for `bond_style table` and the like."""
    lines = [
        "# number, r (Angstrom) or angle (degrees), energy (kcal/mol), and its slope, negative"
    ]
    term = model.potential.term("bonded")
    coefficients = term.tabulate(model.parameters)
    for kind in term.kinds:
        x, q, slope = _bonded_nodes(kind, model.kT)
        own = np.asarray(coefficients.get(kind.label, ()), np.float64)
        u, force = kind.energy(own, q, xp=np), -kind.energy(own, q, 1, np) * slope
        columns = np.column_stack([x, KCAL * u, KCAL * force])
        lines += [
            bonded_section(kind),
            f"N {len(x)}",
            "",
            *[f"{i} {a:.10g} {e:.10g} {f:.10g}" for i, (a, e, f) in enumerate(columns, 1)],
            "",
        ]
    return "\n".join(lines)


def _bonded_nodes(kind: Kind, kT: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes of a table in LAMMPS's unit, our coordinate there, and its derivative by that unit."""
    if len(kind.names) == 2:
        centre, k = kind.parameters
        ends = [centre, centre, *([kind.spline.low, kind.spline.high] if kind.spline else [])]
        beyond = WIDTHS * np.sqrt(kT / k)
        r = np.linspace(max(0.0, min(ends) - beyond), max(ends) + beyond, BONDED_NODES)
        return ANGSTROM * r, r, np.full(len(r), 1 / ANGSTROM)
    if len(kind.names) == 3:
        degrees = np.linspace(0.0, 180.0, BONDED_NODES)
        theta = np.radians(degrees)
        return degrees, np.cos(theta), -np.radians(np.sin(theta))
    degrees = np.linspace(-180.0, 180.0, BONDED_NODES, endpoint=False)
    return degrees, np.radians(degrees), np.full(len(degrees), np.radians(1.0))


def triplet_splines(written: PairsAndTriplets) -> str:
    """w(r_ij, r_ik, r_jk) of each triple of types as a tensor product of cubic B-splines, a file
    for `pair_style uf3`.

    Like `pair_tables` it begins at half the least core radius. The pair energies of this file are
    zero.
    """
    low, cutoff = written.shortest, written.form.cutoff
    near, far = (
        _knots(low, end, intervals)
        for end, intervals in zip((cutoff, 2 * cutoff), INTERVALS, strict=True)
    )
    # w vanishes with two derivatives at the cutoff, and so do splines without the last three
    (r, fit), (r_jk, fit_jk) = _fit(near, trim=3), _fit(far, trim=0)
    no_pair = ANGSTROM * _knots(0.0, cutoff, 4)
    edge = ANGSTROM * cutoff
    head = "#UF3 POT UNITS: real DATE: none AUTHOR: dynmatch CITATION: none"
    names = labels(written.names)
    lines = []
    for a, b in type_pairs(len(names)):
        lines += [
            head,
            f"2B {names[a]} {names[b]} 0 3 uk",
            f"{edge!r} {len(no_pair)}",
            _line(no_pair),
            f"{len(no_pair) - 4}",
            _line(np.zeros(len(no_pair) - 4)),
            "#",
        ]
    for a in range(len(names)):
        for b, c in combinations_with_replacement(range(len(names)), 2):
            values = written.triplet(
                r[:, None, None], r[None, :, None], r_jk[None, None, :], (a, b, c)
            )
            inner = np.einsum("ai,bj,ck,ijk->abc", fit, fit, fit_jk, values, optimize=True)
            coefficients = np.pad(KCAL * inner, [(0, 3), (0, 3), (0, 0)])
            lines += [
                head,
                f"3B {names[a]} {names[b]} {names[c]} 0 3 uk",
                f"{2 * edge!r} {edge!r} {edge!r} {len(far)} {len(near)} {len(near)}",
                _line(ANGSTROM * far),
                _line(ANGSTROM * near),
                _line(ANGSTROM * near),
                " ".join(map(str, coefficients.shape)),
                *map(_line, coefficients.reshape(-1, coefficients.shape[-1])),
                "#",
            ]
    return "\n".join([*lines, ""])


def _knots(begin: float, end: float, intervals: int) -> np.ndarray:
    """Knots of cubic splines from `begin` to just beyond `end`, uniform but for the repeated ends.

    LAMMPS divides a distance by the spacing of those that it reads, and takes what is in memory
    behind the last interval should rounding lead there. They are whole numbers of `RESOLUTION`.
    """
    low = np.floor(begin / RESOLUTION)
    spacing = np.floor((end / RESOLUTION - low) / intervals) + 1
    return np.pad(RESOLUTION * (low + spacing * np.arange(intervals + 1)), 3, mode="edge")


def _fit(knots: np.ndarray, trim: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (n,), and the matrix from values at them to least-squares spline coefficients.

    The last `trim` coefficients are left out.
    """
    inner = knots[3:-3]
    parts = (np.arange(NODES_PER_INTERVAL) + 0.5) / NODES_PER_INTERVAL
    nodes = (inner[:-1, None] + np.diff(inner)[:, None] * parts).ravel()
    design = BSpline.design_matrix(nodes, knots, 3).toarray()
    return nodes, np.linalg.pinv(design[:, : design.shape[1] - trim])


def _line(numbers: np.ndarray) -> str:
    return " ".join(f"{x:.9g}" for x in np.round(numbers, 7))


def data_file(model: Model, start: SiteTrajectory, name: str) -> str:
    """The last frame of `start` as a data file, wrapped into the box."""
    box = ANGSTROM * np.asarray(start.box)
    vectors = matrix(box)
    positions = wrap(ANGSTROM * start.positions[-1].astype(float), box)
    tilt = f"{vectors[1, 0]:.9g} {vectors[2, 0]:.9g} {vectors[2, 1]:.9g} xy xz yz"
    topology, names = start.topology, model.potential.names
    types = topology.types_among(names) + 1
    molecule = np.empty(topology.n_sites, int)
    for number, sites in enumerate(topology.molecules, 1):
        molecule[sites] = number
    bonded = bonded_kinds(model)
    sections, counts = [], []
    for heading, length in (("Bonds", 2), ("Angles", 3), ("Dihedrals", 4)):
        rows = [
            f"{kind} {' '.join(str(site + 1) for site in sites)}"
            for kind, term in enumerate(bonded[length], 1)
            for sites in topology.bonded_kinds.get(term.names, np.empty((0, length), int)).tolist()
        ]
        word = heading.lower()
        if bonded[length]:
            counts += [f"{len(rows)} {word}", f"{len(bonded[length])} {word[:-1]} types"]
        if rows:
            sections += [heading, "", *(f"{n} {row}" for n, row in enumerate(rows, 1)), ""]
    style = "molecular" if any(bonded.values()) else "atomic"
    within = [f"{number} " if style == "molecular" else "" for number in molecule]
    sites = [
        f"{i} {m}{t} {x:.6f} {y:.6f} {z:.6f}"
        for i, (m, t, (x, y, z)) in enumerate(zip(within, types, positions, strict=True), 1)
    ]
    return "\n".join(
        [
            f"# {name}: the last frame of the reference",
            "",
            f"{len(sites)} atoms",
            f"{len(names)} atom types",
            *counts,
            *(
                f"0 {edge:.9g} {x}lo {x}hi"
                for edge, x in zip(vectors.diagonal(), "xyz", strict=True)
            ),
            *([] if is_rectangular(box) else [tilt]),
            "",
            "Masses",
            "",
            *(f"{number} {mass:.9g}" for number, mass in enumerate(site_masses(model), 1)),
            "",
            f"Atoms # {style}",
            "",
            *sites,
            "",
            *sections,
        ]
    )
