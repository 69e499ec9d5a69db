r"""A trained model as input files for LAMMPS, in `units real` (Angstrom, fs, g/mol, kcal/mol, K).

    in.lammps        the input script, with the learned dynamics
    initial.data     one configuration
    pair.table       u(r) for `pair_style table`
    threebody.uf3    w(r_ij, r_ik, r_jk) for `pair_style uf3`, as cubic B-splines
    gle.A            the memory of a model that has one, for `fix gle`

Table and splines need a linear three-body term. LAMMPS's `threebody/table` would carry it as well,
but takes the nearest node of its grid; `uf3` is twice continuously differentiable, and its forces
are the exact gradient of its energy. For a network the script leaves the forces to `fix external`
and `dynmatch.export.lammps_driver`.

Everything is in physical time t: with tau = alpha t, friction gamma/alpha and mass m/alpha^2.
"""

from pathlib import Path

import numpy as np
from scipy.interpolate import BSpline

from dynmatch.export.lammps_script import ANGSTROM, KCAL, input_script, motion_of, site_mass
from dynmatch.export.triplets import PairsAndTriplets, require_one_type, write_out
from dynmatch.model import Model
from dynmatch.sites.box import is_rectangular, matrix, wrap
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.storage.atomic import replacing

PAIR_NODES = 2000
INTERVALS = (32, 40)
"""Of the splines of w in r_ij and r_ik, and in r_jk, of which w is a mere polynomial.

LAMMPS reads 1023 characters of a line, which holds all coefficients in r_jk.
"""
NODES_PER_INTERVAL = 3


def write(folder: str | Path, model: Model, start: SiteTrajectory, name: str) -> list[Path]:
    """Write the files of `model` into `folder`; its configuration is the last frame of `start`.

    `name` is what the model is called in comments. Returns the files.

    Raises DynmatchError when the model has several types of sites, or bonds.
    """
    require_one_type(model)
    folder = Path(folder)
    texts = {
        "in.lammps": input_script(model, name),
        "initial.data": data_file(model, start, name),
    }
    if not model.potential.term("three_body").hidden:
        written = write_out(model)
        texts["pair.table"] = pair_table(written)
        texts["threebody.uf3"] = triplet_splines(written)
    for file, text in motion_of(model).files.items():
        texts[file] = text(model)
    for file, text in texts.items():
        with replacing(folder / file) as path:
            path.write_text(text, encoding="utf-8")
    return [folder / file for file in texts]


def pair_table(written: PairsAndTriplets) -> str:
    """u(r) and -u'(r) on a uniform grid: section PAIR of a file for `pair_style table`.

    It begins at half the core radius, where u is thousands of kB T; LAMMPS stops should a pair ever
    come closer.
    """
    curve = written.curve
    r = np.linspace(0.5 * curve.core, curve.cutoff, PAIR_NODES)
    columns = np.column_stack(
        [ANGSTROM * r, KCAL * written.pair(r), -KCAL / ANGSTROM * written.pair(r, 1)]
    )
    rows = [f"{i} {x:.10g} {u:.10g} {f:.10g}" for i, (x, u, f) in enumerate(columns, 1)]
    return "\n".join(
        [
            "# number, r (Angstrom), energy (kcal/mol), force (kcal/mol/Angstrom)",
            "PAIR",
            f"N {len(r)} R {columns[0, 0]:.10g} {columns[-1, 0]:.10g}",
            "",
            *rows,
            "",
        ]
    )


def triplet_splines(written: PairsAndTriplets) -> str:
    """w(r_ij, r_ik, r_jk) as a tensor product of cubic B-splines, a file for `pair_style uf3`.

    Like `pair_table` it begins at half the core radius. The pair energy of this file is zero.
    """
    low, cutoff = 0.5 * written.curve.core, written.form.cutoff
    near, far = (
        _knots(low, end, intervals)
        for end, intervals in zip((cutoff, 2 * cutoff), INTERVALS, strict=True)
    )
    # w vanishes with two derivatives at the cutoff, and so do splines without the last three
    (r, fit), (r_jk, fit_jk) = _fit(near, trim=3), _fit(far, trim=0)
    values = written.triplet(r[:, None, None], r[None, :, None], r_jk[None, None, :])
    inner = np.einsum("ai,bj,ck,ijk->abc", fit, fit, fit_jk, values, optimize=True)
    coefficients = np.pad(KCAL * inner, [(0, 3), (0, 3), (0, 0)])
    near, far, edge = ANGSTROM * near, ANGSTROM * far, ANGSTROM * cutoff
    no_pair = ANGSTROM * _knots(0.0, cutoff, 4)
    head = "#UF3 POT UNITS: real DATE: none AUTHOR: dynmatch CITATION: none"
    lines = [
        head,
        "2B W W 0 3 uk",
        f"{edge!r} {len(no_pair)}",
        _line(no_pair),
        f"{len(no_pair) - 4}",
        _line(np.zeros(len(no_pair) - 4)),
        "#",
        head,
        "3B W W W 0 3 uk",
        f"{2 * edge!r} {edge!r} {edge!r} {len(far)} {len(near)} {len(near)}",
        _line(far),
        _line(near),
        _line(near),
        " ".join(map(str, coefficients.shape)),
        *map(_line, coefficients.reshape(-1, coefficients.shape[-1])),
        "#",
        "",
    ]
    return "\n".join(lines)


def _knots(begin: float, end: float, intervals: int) -> np.ndarray:
    """Knots of cubic splines on [begin, end], uniform but for the repeated ends."""
    return np.pad(np.linspace(begin, end, intervals + 1), 3, mode="edge")


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
    sites = [f"{i} 1 {x:.6f} {y:.6f} {z:.6f}" for i, (x, y, z) in enumerate(positions, 1)]
    return "\n".join(
        [
            f"# {name}: the last frame of the reference",
            "",
            f"{len(sites)} atoms",
            "1 atom types",
            *(
                f"0 {edge:.9g} {x}lo {x}hi"
                for edge, x in zip(vectors.diagonal(), "xyz", strict=True)
            ),
            *([] if is_rectangular(box) else [tilt]),
            "",
            "Masses",
            "",
            f"1 {site_mass(model):.9g}",
            "",
            "Atoms # atomic",
            "",
            *sites,
            "",
        ]
    )
