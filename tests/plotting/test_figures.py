"""Figures: what is drawn is what the tables say, and a reader can tell what it is.

The tables are those of Brownian motion without interactions, in closed form: MSD = 6 D t,
F_s = exp(-k^2 D t), a Gaussian van Hove function, g(r) = 1. Models differ from the reference in D.
"""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.collections import PolyCollection, QuadMesh
from matplotlib.colors import to_rgba
from matplotlib.image import imread
from matplotlib.text import Text

from dynmatch.dynamics.registry import DYNAMICS, Card
from dynmatch.errors import DynmatchError
from dynmatch.observables.registry import OBSERVABLES, Columns
from dynmatch.observables.torsions import BASINS
from dynmatch.plotting import (
    diagnostics,
    free_energy,
    kinetics,
    memory,
    recovery,
    structure,
    style,
)
from dynmatch.plotting.comparison import METRICS
from dynmatch.plotting.figures import render
from dynmatch.plotting.registry import FIGURES, TABLES
from dynmatch.plotting.tables import Results, collect, over_seeds
from dynmatch.runtime.names import named
from dynmatch.summary.rows import COLUMNS
from dynmatch.units import BOLTZMANN

TEMPERATURE = 300.0
THERMAL = BOLTZMANN * TEMPERATURE
LAGS = (2.0, 3.0, 5.0)
DIFFUSION = {
    ("reference", 0): 2.0e-3,
    ("training_part", 0): 2.0e-3,
    ("bd", 1): 2.1e-3,
    ("bd", 2): 2.3e-3,
    ("bd", 3): 2.5e-3,
    ("ld", 1): 1.9e-3,
    ("ld", 2): 1.7e-3,
    ("ld", 3): 1.5e-3,
    ("gle", 1): 3.0e-3,
    ("gle", 2): 5.0e-3,  # twice that of the reference: it leaves the panel of the ratios
    ("fm_ld_einstein", 1): 1.0e-3,
    ("fm_bd_einstein", 1): 0.8e-3,
}
"""D of every model and seed, nm^2/ps."""
ERROR_GROWTH = 1e-3
"""The MSD of either part of the reference has the relative standard error ERROR_GROWTH * t, t in
ps."""
PARTS = {"reference": "reference", "training_part": "reference/training_part"}
"""Folders of the parts of the reference."""
WAVE_NUMBERS = (8.0, 16.0)
VAN_HOVE_LAGS = (1.0, 20.0)

UNIT = re.compile(
    r"\((nm|ps|degrees|amu|amu/ps|kJ/mol|cm\$\^\{-1\}\$|ps\$\^\{-1\}\$|ps\$\^\{-2\}\$|nm\$\^2\$|nm\$\^2\$/ps|nm\$\^\{-1\}\$|\$k_\\mathrm\{B\}T\$)\)"
)
DIMENSIONLESS = {
    "$C_1$, dashed $C_2$",
    r"$g(r)$",
    r"$\Delta g(r)$",
    r"$\cos\theta$",
    r"$P(\cos\theta)$",
    r"$\Delta P(\cos\theta)$",
    r"tetrahedral order $q$",
    r"$P(q)$",
    r"$\Delta P(q)$",
    "MSD ratio",
    "MSD / MSD(AA)",
    r"$\langle v(0)\cdot v(t)\rangle$ / $\langle v^2\rangle$",
    "first-shell survival",
    "generator update",
    "structural-start update",
    "RDF error",
    "generator update, planned dotted",
    "score gap, noise floor dotted",
    "gradient norm",
    "classifier loss, training faint",
    "roughness of the potential",
    r"$D_0$ / truth",
    r"$\gamma/\alpha$ / truth",
    r"$m/\alpha^2$ / truth",
    "parameter, model",
    *METRICS.values(),
    r"$F_\mathrm{s}(k, t)$",
    r"$\Delta F_\mathrm{s}$",
    r"$\Delta$ VACF",
    r"$\Delta$ survival",
    "learned / truth",
    "population",
    "basin",
    "model",
    *(rf"autocorrelation of $\{f}\{name}$" for f in ("cos", "sin") for name in ("phi", "psi")),
}


def observables(model: str, seed: int) -> dict[str, pd.DataFrame]:
    """Every table of Brownian motion; the models' own errors are 0, so that only seeds differ."""
    d = DIFFUSION[model, seed]
    exact = model not in PARTS
    r = np.arange(0.0025, 0.62, 0.005)
    rdf = np.where(r > 0.2, 1 + 10 * (d - 2e-3), 0.0)
    cosines = np.linspace(-0.98, 0.98, 50)
    q = np.linspace(-0.98, 0.98, 50)
    t = np.geomspace(0.02, 200, 41)
    lag, k = (grid.ravel() for grid in np.meshgrid(t, WAVE_NUMBERS))
    moved, after = (grid.ravel() for grid in np.meshgrid(np.arange(0.01, 3, 0.02), VAN_HOVE_LAGS))
    pair_r, pair_cosine = (
        grid.ravel() for grid in np.meshgrid(np.linspace(0.01, 0.6, 30), cosines)
    )
    times = np.linspace(0, 1, 51) if model != "bd" else np.empty(0)
    with np.errstate(divide="ignore"):
        w = np.where(rdf > 0, -THERMAL * np.log(rdf), np.nan)
    energy = 4 * THERMAL * (pair_cosine**2 + ((pair_r - 0.3) / 0.2) ** 2)
    angles = np.arange(-175.0, 180.0, 10.0)
    phi, psi = (grid.ravel() for grid in np.meshgrid(angles, angles))
    turn = np.radians(phi + psi)
    gauss = np.exp(-(moved**2) / (4 * d * after)) / (4 * np.pi * d * after) ** 1.5
    values = {
        "rdf": (r, rdf),
        "adf": (cosines, np.full(50, 0.5)),
        "tetrahedral": (q, np.full(50, 0.5)),
        "msd": (t, 6 * d * t),
        "diffusion": (np.array([d]),),
        "vacf": (times, np.exp(-times / 0.1)),
        "van_hove": (after, moved, 4 * np.pi * moved**2 * gauss),
        "scattering": (k, lag, np.exp(-(k**2) * d * lag)),
        "survival": (t, np.exp(-t / 5)),
        "pmf": (r, w),
        "free_energy_q": (q, THERMAL * q**2),
        "free_energy_r_theta": (pair_r, pair_cosine, np.where(pair_r > 0.2, energy, np.nan)),
        "rdf_by_type": (np.repeat(["A-A", "A-B"], len(r)), np.tile(r, 2), np.tile(rdf, 2)),
        "bonded": (
            np.repeat(["A-B", "A-B-A"], 50),
            np.repeat(["r_nm", "cos_theta"], 50),
            np.tile(cosines, 2),
            np.full(100, 0.5),
        ),
        "reorientation": (
            np.repeat(["A-B", "A-B"], len(t)),
            np.repeat([1, 2], len(t)),
            np.tile(t, 2),
            np.concatenate([np.exp(-t / 9), np.exp(-t / 3)]),
        ),
        "ramachandran": (phi, psi, np.where(phi < 0, THERMAL * (2 - np.cos(turn)), np.nan)),
        "torsion_free_energy": (
            np.repeat(["phi", "psi"], 36),
            np.tile(angles, 2),
            np.tile(THERMAL * (1 - np.cos(np.radians(angles))), 2),
        ),
        "populations": (list(BASINS), np.array([0.2, 0.4, 0.3, 0.1])),
        "torsion_correlation": (
            np.repeat(["cos_phi", "sin_phi", "cos_psi", "sin_psi"], len(t)),
            np.tile(t, 4),
            np.tile(np.exp(-t / 20), 4),
        ),
        "timescales": (["phi", "psi"], np.array([4.0, 40.0])),
    }
    tables = {}
    for name, columns in values.items():
        layout = OBSERVABLES[name]
        table = dict(zip((*layout.keys, layout.value), columns, strict=True))
        table[layout.error] = 0.0 if exact else 0.01 * np.abs(columns[-1])
        tables[name] = pd.DataFrame(table)
    if not exact:
        tables["msd"]["error_nm2"] = ERROR_GROWTH * t * 6 * d * t
    return tables


MEMORY = {
    "mass_amu": 18.0,
    "white_friction_amu_per_ps": 36.0,
    "exponential_strength_per_ps2": [40.0, 20.0],
    "exponential_time_ps": [0.5, 0.1],
    "cosine_strength_per_ps2": [180.0],
    "cosine_rate_per_ps": [10.0],
    "cosine_frequency_rad_per_ps": [30.0],
}
"""A kernel: the friction over m of slow motion is 2 + 20 + 2 + 180 x 10/1000 = 25.8/ps."""


def trained(model: str, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, dict]:
    """history.csv, start.csv and model.yaml of a training that goes from 2 D to D."""
    update = np.arange(1, 101)
    approach = np.exp(-update / 20)
    d0 = DIFFUSION[model, seed] * (1 + approach)
    mass = 18 * (1 + approach)
    history = pd.DataFrame(
        {
            "update": update,
            "score_gap": 4 * approach + 0.2 * np.cos(update),
            "gap_floor": 0.3,
            "d0_nm2_per_ps": d0,
            "gamma_over_alpha": THERMAL / d0,
            "mass_over_alpha2": mass,
            "gradient_norm": 1 + approach,
            "classifier_loss": -approach,
            "heldout_loss": np.where(update % 10 == 0, -0.9 * approach, np.nan),
            "roughness": 0.01 * update,
        }
    )
    if model == "bd":
        del history["mass_over_alpha2"]
    model_file = {
        "d0_nm2_per_ps": float(d0[-1]),
        "gamma_over_alpha": float(THERMAL / d0[-1]),
        "status": "ok" if seed != 3 else "MSD at 9 ps is 3.1% too small",
        "updates": 100,
        "minutes": 1.5,
    }
    if model != "bd":
        model_file["mass_over_alpha2"] = float(mass[-1])
    if model == "gle":
        model_file |= MEMORY
    return history, pd.DataFrame({"update": update, "rdf_error": 0.3 * approach}), model_file


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A results tree with the tables of every model and seed."""
    root = tmp_path_factory.mktemp("results") / "laptop" / "water"
    for model, seed in DIFFUSION:
        run = root / PARTS.get(model, f"{model}/seed-{seed}")
        (run / "observables").mkdir(parents=True)
        for name, table in observables(model, seed).items():
            table.to_csv(run / "observables" / f"{name}.csv", index=False)
        if model in DYNAMICS:
            history, start, model_file = trained(model, seed)
            history.to_csv(run / "history.csv", index=False)
            start.to_csv(run / "start.csv", index=False)
            (run / "model.yaml").write_text(yaml.safe_dump(model_file))
    return root


SUMMED = (("msd", "log_rmse 10-200 ps"), ("rdf", "mae"), ("adf", "mae"), ("vacf", "mae"))
FLOOR, NULL = 0.004, 3.0


def summary_of(runs) -> pd.DataFrame:
    """The rows that the comparison takes: every model as wrong as its D is."""
    rows = []
    for model in dict.fromkeys(model for model, _ in runs if model not in PARTS):
        errors = [abs(np.log(DIFFUSION[model, s] / 2e-3)) for m, s in runs if m == model]
        seeds = [str(s) for m, s in runs if m == model]
        spread = np.std(errors, ddof=1) / len(errors) ** 0.5 if len(errors) > 1 else 0.01
        for observable, metric in SUMMED:
            common, others = ("water", model), (FLOOR, NULL, "")
            rows += [
                (*common, seed, observable, metric, error, 0.01, *others)
                for seed, error in zip(seeds, errors, strict=True)
            ]
            if len(errors) > 1:
                mean = np.mean(errors), spread
                rows.append((*common, "mean", observable, metric, *mean, *others))
    return pd.DataFrame(rows, columns=COLUMNS)


def read_tables(root, runs=tuple(DIFFUSION)) -> dict[str, pd.DataFrame]:
    folders = [root / PARTS.get(model, f"{model}/seed-{seed}") for model, seed in runs]
    models = [folder for folder in folders if folder.parent.name in DYNAMICS]
    tables = {
        name: collect(name, [folder / "observables" / f"{name}.csv" for folder in folders])
        for name in OBSERVABLES
    }
    for name in ("history", "start"):
        tables[name] = collect(name, [folder / f"{name}.csv" for folder in models])
    tables["model"] = collect("model", [folder / "model.yaml" for folder in models])
    tables["summary"] = summary_of(runs)
    return tables


TRUTH = {
    "d0_nm2_per_ps": DIFFUSION["reference", 0],
    "gamma_over_alpha": THERMAL / DIFFUSION["reference", 0],
    "mass_over_alpha2": 18.0,
}


def of_figure(name: str, results: Results) -> Results:
    """With the tables that the figure's card names, and no others."""
    return replace(results, tables={key: results.tables[key] for key in FIGURES[name].tables})


PLANNED = {"bd": 120, "ld": 100, "gle": 100}
"""Updates; 100 were done."""


@pytest.fixture(scope="module")
def results(tree) -> Results:
    return Results(read_tables(tree), LAGS, TEMPERATURE, cutoff=0.6, truth=TRUTH, planned=PLANNED)


@pytest.fixture(scope="module")
def drawn(results):
    """Every figure, laid out."""
    with style.applied():
        figures = {
            name: named(card.function)(of_figure(name, results)) for name, card in FIGURES.items()
        }
        for figure in figures.values():
            figure.draw_without_rendering()
    return figures


def lines_of(axis, model: str) -> list:
    """The curves of one model, by its colour, without guide lines across the panel."""
    color = to_rgba(style.MODELS[model].color)
    return [
        line
        for line in axis.get_lines()
        if to_rgba(line.get_color()) == color and len(line.get_xdata()) > 2
    ]


def band_of(axis, model: str) -> np.ndarray:
    """Height of a model's band at each abscissa in ascending order, half of it."""
    color = to_rgba(style.MODELS[model].color)[:3]
    (band,) = (
        item
        for item in axis.collections
        if isinstance(item, PolyCollection) and tuple(item.get_facecolor()[0][:3]) == color
    )
    corners = pd.DataFrame(band.get_paths()[0].vertices, columns=["x", "y"])
    return 0.5 * corners.groupby("x")["y"].agg(np.ptp).to_numpy()


def seeds_of(model: str) -> np.ndarray:
    return np.array([d for (name, _), d in DIFFUSION.items() if name == model])


@pytest.mark.parametrize("name", FIGURES)
def test_both_files_are_written_at_journal_width(name, results, tmp_path):
    pdf, png = tmp_path / "figure.pdf", tmp_path / "figure.png"
    render(name, of_figure(name, results), pdf, png)
    assert pdf.read_bytes().startswith(b"%PDF")
    width = imread(png).shape[1] / 300
    assert width == pytest.approx(style.SINGLE_COLUMN) or width == pytest.approx(
        style.DOUBLE_COLUMN
    )
    assert sorted(tmp_path.iterdir()) == [pdf, png]


def test_a_figure_is_the_same_file_when_drawn_again(results, tmp_path):
    files = []
    for attempt in ("first", "second"):
        pdf, png = tmp_path / f"{attempt}.pdf", tmp_path / f"{attempt}.png"
        render("rdf", results, pdf, png)
        files.append((pdf.read_bytes(), png.read_bytes()))
    assert files[0] == files[1]


@pytest.mark.parametrize("name", FIGURES)
def test_every_axis_has_a_label_with_its_unit(name, drawn):
    for axes in drawn[name].axes:
        if not axes.axison:
            continue
        for axis in (axes.xaxis, axes.yaxis):
            text = axis.get_label_text()
            if not text:
                shown = [tick for tick in axis.get_ticklabels() if tick.get_text()]
                assert not any(tick.get_visible() for tick in shown)
                continue
            assert UNIT.search(text) or text in DIMENSIONLESS, text


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_is_smaller_than_seven_points(name, drawn):
    texts = [item for item in drawn[name].findobj(Text) if item.get_text().strip()]
    assert len(texts) > 5
    assert min(item.get_fontsize() for item in texts) >= 7


@pytest.mark.parametrize("name", FIGURES)
def test_legends_cover_no_data(name, drawn):
    figure = drawn[name]
    legends = [*figure.legends, *(axis.get_legend() for axis in figure.axes)]
    for legend in filter(None, legends):
        box = legend.get_window_extent()
        for axis in figure.axes:
            for line in axis.get_lines():
                points = line.get_transform().transform(line.get_xydata())
                assert box.count_contains(points) == 0


@pytest.mark.parametrize(("name", "panels"), [("msd", 2), ("autocorrelations", 8), ("overview", 3)])
def test_the_training_window_is_shaded_in_every_time_axis(name, panels, drawn):
    lowest = [axis for axis in drawn[name].axes if axis.get_xlabel() == kinetics.TIME_LABEL]
    timed = {axis for low in lowest for axis in low.get_shared_x_axes().get_siblings(low)}
    assert len(timed) == panels
    color = to_rgba(style.WINDOW_COLOR)
    for axis in timed:
        (shade,) = (patch for patch in axis.patches if patch.get_facecolor() == color)
        assert shade.get_x() == 0
        assert shade.get_width() == sum(LAGS)
        if axis.get_ylabel() != "MSD ratio" and r"\Delta" not in axis.get_ylabel():
            assert "training window" in [text.get_text().strip() for text in axis.texts]


def test_van_hove_panels_within_the_training_window_are_shaded(drawn):
    shades = [axis.get_facecolor() for axis in drawn["van_hove"].axes]
    assert shades[0] == to_rgba(style.WINDOW_COLOR)
    assert shades[1] == to_rgba("white")


def test_msd_lines_are_6dt_and_their_ratio_is_that_of_d(drawn):
    main, lower = sorted(drawn["msd"].axes, key=lambda axis: -axis.get_position().y0)
    for model in ("reference", "bd", "ld"):
        (line,) = lines_of(main, model)
        np.testing.assert_allclose(
            line.get_ydata(), 6 * seeds_of(model).mean() * line.get_xdata(), rtol=1e-12
        )
    for model in DYNAMICS:
        (line,) = lines_of(lower, model)
        expected = seeds_of(model).mean() / DIFFUSION["reference", 0]
        np.testing.assert_allclose(line.get_ydata(), expected, rtol=1e-9)


def test_msd_ratio_is_exact_between_the_lags_of_the_reference(results):
    """Models have other lags than the reference: MSD = 6 D t is straight in the logarithms."""
    msd = results.tables["msd"]
    lag = np.where(msd["model"] == "reference", msd["lag_ps"], 1.07 * msd["lag_ps"])
    scale = lag / msd["lag_ps"]
    shifted = msd.assign(lag_ps=lag, msd_nm2=msd["msd_nm2"] * scale)
    moved = Results({**results.tables, "msd": shifted}, LAGS, TEMPERATURE, 0.6)
    _, lower = sorted(kinetics.msd(moved).axes, key=lambda axis: -axis.get_position().y0)
    (line,) = lines_of(lower, "bd")
    ratio = line.get_ydata()[:-1]
    np.testing.assert_allclose(ratio, seeds_of("bd").mean() / DIFFUSION["reference", 0], rtol=1e-9)


def test_diffusion_constants_are_in_the_legend(drawn):
    axis = max(drawn["msd"].axes, key=lambda axis: axis.get_position().y0)
    texts = [text.get_text() for text in axis.figure.legends[0].get_texts()]
    assert texts[0] == "AA, 2.00 ± 0.02"
    error = seeds_of("bd").std(ddof=1) / np.sqrt(3) * 1e3
    # relative errors of the two add up as squares, 1 % of the reference's among them
    of_ratio = 1.15 * np.hypot(error / 2.3, 0.01)
    assert texts[1] == f"BD (3 seeds), 2.30 ± {error:.2f}; 1.15 ± {of_ratio:.2f}"


def test_ratios_of_d_stand_in_the_overview_in_the_colours_of_the_models(drawn):
    written = {
        text.get_text(): text.get_color()
        for axis in drawn["overview"].axes
        for text in axis.texts
        if text.get_text().startswith(("BD", "LD", "GLE"))
    }
    assert written["BD 1.15 ± 0.06"] == style.MODELS["bd"].color
    assert written["LD 0.85 ± 0.06"] == style.MODELS["ld"].color
    assert [name for name in written if name.startswith("GLE 2.00")]


def test_planned_updates_are_marked_beside_the_course_of_d0(drawn):
    """That of a training which ended before stands beyond the end of its curve."""
    for name in ("overview", "diagnostics"):
        axis = next(a for a in drawn[name].axes if "planned" in a.get_xlabel())
        marks = {
            to_rgba(line.get_color()): line.get_xdata()[0]
            for line in axis.get_lines()
            if line.get_linestyle() == ":"
        }
        assert marks == {to_rgba(style.MODELS[m].color): n for m, n in PLANNED.items()}
        assert max(lines_of(axis, "bd")[0].get_xdata()) == 100
        assert axis.get_xlim()[1] >= 120


def test_the_ratio_in_the_figure_of_dynamics_is_shown_where_the_reference_is_known(drawn, results):
    """From its first lag to 50 ps; a model with twice its D leaves the panel, with a mark."""
    axis = drawn["dynamics"].axes[1]
    lags = results.tables["msd"]["lag_ps"]
    assert axis.get_xlim() == (lags.min(), lags[lags <= 0.05 / ERROR_GROWTH].max())
    for model in ("bd", "ld", "gle"):
        (line,) = lines_of(axis, model)
        expected = seeds_of(model).mean() / DIFFUSION["reference", 0]
        np.testing.assert_allclose(line.get_ydata(), expected, rtol=1e-9)
    assert not band_of(axis, "reference")[0] > ERROR_GROWTH
    (mark,) = (line for line in axis.get_lines() if line.get_marker() == "^")
    assert mark.get_color() == style.MODELS["gle"].color
    assert mark.get_xydata().tolist() == [[lags.min(), kinetics.RATIO_RANGE[1]]]


def test_models_without_velocities_are_left_out_of_their_panel_alone(drawn):
    velocities, ratio, scattering = drawn["dynamics"].axes
    assert not lines_of(velocities, "bd")
    assert lines_of(velocities, "gle")
    assert lines_of(ratio, "bd")
    assert lines_of(scattering, "bd")
    assert not any(lines_of(axis, "fm_ld_einstein") for axis in drawn["dynamics"].axes)


def test_memory_kernels_are_drawn_with_their_limit(drawn):
    in_time, in_frequency = drawn["memory_kernel"].axes
    curves = lines_of(in_time, "gle")
    assert len(curves) == len(seeds_of("gle"))
    t, k = curves[0].get_xdata(), curves[0].get_ydata()
    assert k[0] == pytest.approx(40 + 20 + 180)
    assert np.trapezoid(k, t) == pytest.approx(23.8, rel=1e-2)
    (friction,) = {line.get_ydata()[0] for line in lines_of(in_frequency, "gle")}
    assert friction == pytest.approx(25.8)
    limits = [line for line in in_frequency.get_lines() if len(line.get_xdata()) == 2]
    assert {line.get_ydata()[0] for line in limits} == {friction}
    texts = [text.get_text() for text in drawn["memory_kernel"].legends[0].get_texts()]
    assert texts == ["GLE, white part 2, 2 ps$^{-1}$", "Markovian limit"]


def test_a_known_kernel_is_drawn_behind_the_learned_ones(results):
    figure = memory.memory_kernel(replace(results, truth=TRUTH | MEMORY))
    in_time, in_frequency = (axis.get_lines()[0] for axis in figure.axes)
    assert in_time.get_label() == "truth, white part 2 ps$^{-1}$"
    assert in_time.get_ydata()[0] == pytest.approx(40 + 20 + 180)
    assert in_frequency.get_ydata()[0] == pytest.approx(25.8)


def test_kernels_of_types_have_panels_of_their_own(results):
    table = results.tables["model"].assign(types=None)
    types = [{"A": MEMORY, "B": MEMORY} if name == "gle" else None for name in table["model"]]
    figure = memory.memory_kernel(replace(results, tables={"model": table.assign(types=types)}))
    assert [axis.get_title() for axis in figure.axes] == ["A", "A", "B", "B"]


def test_lags_without_reference_statistics_are_marked(results):
    """The relative error ERROR_GROWTH * t passes 5 % at t = 50 ps."""
    main, _ = sorted(kinetics.msd(results).axes, key=lambda axis: -axis.get_position().y0)
    (mark,) = (patch for patch in main.patches if patch.get_hatch())
    lags = results.tables["msd"]["lag_ps"]
    assert mark.get_x() == lags[lags <= 0.05 / ERROR_GROWTH].max()
    assert mark.get_x() + mark.get_width() == pytest.approx(lags.max())
    assert main.figure.legends[0].get_texts()[-1].get_text() == "AA error > 5%"


def test_scattering_lines_are_exponentials_of_the_reference(drawn):
    for k in WAVE_NUMBERS:
        axis = next(a for a in drawn["autocorrelations"].axes if f"= {k:g} nm" in a.get_title())
        (line,) = lines_of(axis, "reference")
        decay = np.exp(-(k**2) * DIFFUSION["reference", 0] * line.get_xdata())
        np.testing.assert_allclose(line.get_ydata(), decay, rtol=1e-12)
        assert {lines_of(axis, model)[0].get_label() for model in DYNAMICS} == {
            "BD (3 seeds)",
            "LD (3 seeds)",
            "GLE (2 seeds)",
        }


def test_rdf_differences_are_model_minus_reference(drawn):
    _, lower = sorted(drawn["rdf"].axes, key=lambda axis: -axis.get_position().y0)
    (line,) = lines_of(lower, "ld")
    expected = 10 * (seeds_of("ld").mean() - DIFFUSION["reference", 0])
    beyond = line.get_xdata() > 0.2
    np.testing.assert_allclose(line.get_ydata()[beyond], expected, atol=1e-12)
    np.testing.assert_array_equal(line.get_ydata()[~beyond], 0)


def test_the_floor_is_a_band_where_a_difference_is_drawn(drawn):
    """Of two parts with equal errors, 1 % of each value; of the MSD ERROR_GROWTH * t."""
    _, lower = sorted(drawn["rdf"].axes, key=lambda axis: -axis.get_position().y0)
    np.testing.assert_allclose(band_of(lower, "reference")[-50:], np.sqrt(2) * 0.01)
    _, lower = sorted(drawn["msd"].axes, key=lambda axis: -axis.get_position().y0)
    t = np.geomspace(0.02, 200, 41)
    expected = np.sqrt(2) * ERROR_GROWTH * t
    np.testing.assert_allclose(band_of(lower, "reference"), expected, rtol=1e-6)
    vacf = next(a for a in drawn["autocorrelations"].axes if "VACF" in a.get_ylabel())
    expected = np.sqrt(2) * 0.01 * np.exp(-np.linspace(0, 1, 51) / 0.1)
    np.testing.assert_allclose(band_of(vacf, "reference"), expected, atol=1e-9)
    for name in ("rdf", "msd", "autocorrelations", "overview"):
        (legend,) = drawn[name].legends
        assert "floor: AA against AA" in [text.get_text() for text in legend.get_texts()]


@pytest.mark.parametrize("name", FIGURES)
def test_a_model_that_is_not_ok_is_marked_on_every_figure_that_shows_it(name, results):
    verdicts = {"bd": "cut off at 12 of 120 updates; outside: " + 12 * "D 0.45, ", "ld": "ok"}
    marked = of_figure(name, replace(results, verdicts=verdicts))
    line = f"BD: {verdicts['bd']}"
    assert marked.warnings() == [line]
    with style.applied():
        figure = named(FIGURES[name].function)(marked)
        style.warn(figure, marked.warnings())
        figure.draw_without_rendering()
    (found,) = (text for text in figure.findobj(Text) if "cut off" in text.get_text())
    assert found.get_text().split() == line.split()
    assert found.get_color() == style.WARNING_COLOR
    box = found.get_window_extent()
    tallest = max(axis.get_position().height for axis in figure.axes)
    assert tallest > 0.15
    assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0
    for axis in figure.axes:
        assert not axis.axison or not box.overlaps(axis.get_tightbbox())


def test_a_model_is_not_marked_where_it_is_not_shown_or_ok(results):
    rdf = results.tables["rdf"]
    without = Results({"rdf": rdf[rdf["model"] != "bd"]}, LAGS, TEMPERATURE, 0.6)
    verdicts = {"bd": "cut off at 12 of 120 updates", "ld": "ok"}
    assert replace(without, verdicts=verdicts).warnings() == []


def test_pmf_error_is_the_difference_in_kt(drawn):
    axis = drawn["recovery"].axes[-1]
    (line,) = lines_of(axis, "bd")
    known = np.isfinite(line.get_ydata())
    levels = np.log(1 + 10 * (seeds_of("bd") - DIFFUSION["reference", 0]))
    np.testing.assert_allclose(line.get_ydata()[known], -levels.mean(), rtol=1e-9)
    assert known.sum() > 50


def test_learned_parameters_are_drawn_over_the_truth(drawn, results):
    table = recovery.parameters(results.tables["model"], TRUTH)
    d0 = table[(table["model"] == "bd") & (table["quantity"] == "d0_nm2_per_ps")]
    expected = seeds_of("bd") / DIFFUSION["reference", 0] * (1 + np.exp(-5))
    np.testing.assert_allclose(d0["value"] / d0["truth"], expected, rtol=1e-12)
    axis = next(a for a in drawn["recovery"].axes if a.get_ylabel() == "learned / truth")
    points = [line for line in axis.get_lines() if line.get_marker() in ("o", "s")]
    np.testing.assert_allclose(points[0].get_ydata(orig=False), expected, rtol=1e-12)
    masses = table[table["quantity"] == "mass_over_alpha2"]
    assert set(masses["model"]) == {"ld", "gle"}


def test_a_brownian_truth_has_no_mass_to_recover(results):
    truth = {"d0_nm2_per_ps": 2.5e-3, "gamma_over_alpha": 1000.0}
    assert set(recovery.parameters(results.tables["model"], truth)["quantity"]) == set(truth)


def test_bands_are_the_standard_error_of_the_seeds(drawn):
    """The models' own errors are 0."""
    main = max(drawn["msd"].axes, key=lambda axis: axis.get_position().y0)
    (line,) = lines_of(main, "bd")
    error = 6 * seeds_of("bd").std(ddof=1) / np.sqrt(3) * line.get_xdata()
    np.testing.assert_allclose(band_of(main, "bd"), error, rtol=1e-9)


def test_one_seed_has_its_own_error_as_band(drawn):
    main = max(drawn["rdf"].axes, key=lambda axis: axis.get_position().y0)
    (line,) = lines_of(main, "reference")
    np.testing.assert_allclose(band_of(main, "reference"), 0.01 * line.get_ydata(), atol=1e-12)


@pytest.mark.parametrize("between", [0.0, 0.2, 1.0])
def test_error_over_seeds_is_that_of_the_mean(between):
    """400 seeds, each with an error of 0.3 and a spread beside it.

    s^2 of 400 normal samples has the relative standard deviation sqrt(2/399) = 0.071, hence the
    error 0.035; without a spread between seeds max(s^2, <e^2>) only errs upwards. Bound: 5 sigma.
    """
    rng = np.random.default_rng(1)
    values = rng.normal(0, between, 400) + rng.normal(0, 0.3, 400)
    table = pd.DataFrame({"model": "bd", "seed": range(400), "value": values, "error": 0.3})
    (row,) = over_seeds(table, Columns((), "value", "error")).itertuples()
    assert row.seeds == 400
    assert row.mean == pytest.approx(values.mean())
    assert row.error == pytest.approx(np.hypot(between, 0.3) / 20, rel=0.18)


def test_brownian_models_are_named_where_they_have_no_velocities(drawn):
    axis = next(a for a in drawn["autocorrelations"].axes if "cdot" in a.get_ylabel())
    assert "BD: no velocities" in [text.get_text() for text in axis.texts]
    assert lines_of(axis, "reference")
    assert lines_of(axis, "ld")
    assert not lines_of(axis, "bd")


def test_without_any_velocities_there_is_no_panel_for_them(tree):
    tables = read_tables(tree, [("reference", 0), ("training_part", 0), ("bd", 1)])
    tables["vacf"] = tables["vacf"].iloc[:0]
    figure = kinetics.autocorrelations(Results(tables, LAGS, TEMPERATURE, 0.6))
    assert len(figure.axes) == 2 * (len(WAVE_NUMBERS) + 1)


@pytest.mark.parametrize(("name", "depth"), [("free_energy", 6), ("ramachandran", 8)])
def test_maps_of_models_are_differences_from_the_reference(results, name, depth):
    """The reference's as it is; a model's that is 0.3 kB T higher everywhere is that much off."""
    table = "free_energy_r_theta" if name == "free_energy" else name
    (value,) = {"f_kj_per_mol"} & set(results.tables[table])
    energies = results.tables[table]
    higher = energies[value] + np.where(energies["model"] == "ld", 0.3 * THERMAL, 0.0)
    moved = replace(results, tables={**results.tables, table: energies.assign(**{value: higher})})
    figure = named(FIGURES[name].function)(of_figure(name, moved))
    maps = {
        axis.get_title(): axis.collections[0]
        for axis in figure.axes
        if isinstance(next(iter(axis.collections), None), QuadMesh) and axis.get_title()
    }
    assert maps["AA"].get_clim() == (0, depth * THERMAL)
    least = energies.loc[energies["model"] == "reference", value].min()
    assert maps["AA"].get_array().min() == pytest.approx(least)
    assert maps["LD - AA"].get_clim() == (-0.5 * THERMAL, 0.5 * THERMAL)
    for title, expected in (("LD - AA", 0.3), ("BD - AA", 0.0)):
        shown = np.ma.compressed(maps[title].get_array())
        assert len(shown) > 100
        np.testing.assert_allclose(shown, expected * THERMAL, atol=1e-9)


def test_a_potential_of_mean_force_far_from_the_truth_is_marked_where_it_leaves_the_panel(results):
    pmf = results.tables["pmf"]
    off = np.where(pmf["model"] == "bd", pmf["w_kj_per_mol"] + THERMAL, pmf["w_kj_per_mol"])
    tables = {**results.tables, "pmf": pmf.assign(w_kj_per_mol=off)}
    axis = recovery.recovery(replace(results, tables=tables)).axes[-1]
    (mark,) = (line for line in axis.get_lines() if line.get_marker() == "^")
    assert mark.get_color() == style.MODELS["bd"].color


def test_the_comparison_speaks_of_seeds_only_where_there_are_several(drawn, tree):
    assert "mean over seeds" in drawn["comparison"].legends[0].get_title().get_text()
    runs = [("reference", 0), ("bd", 1), ("ld", 1)]
    single = Results({"summary": summary_of(runs)}, LAGS, TEMPERATURE, 0.6)
    figure = named(FIGURES["comparison"].function)(single)
    assert figure.legends[0].get_title().get_text() == "markers: value ± 1 standard error"


def test_a_system_with_one_model_can_be_drawn(tree, tmp_path):
    tables = read_tables(tree, [("reference", 0), ("training_part", 0), ("bd", 1)])
    results = Results(tables, LAGS, TEMPERATURE, 0.6)
    with style.applied():
        for draw in (structure.rdf, diagnostics.diagnostics, free_energy.free_energy):
            draw(results).savefig(tmp_path / "figure.png", dpi=30)


def test_a_missing_file_is_named(tree):
    path = tree / "bd" / "seed-9" / "observables" / "rdf.csv"
    with pytest.raises(DynmatchError, match=re.escape(f"{path}: missing")):
        collect("rdf", [path])


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "cannot be read"), ("r_nm,rdf\n0.1,1.0\n", "lacks error; a rdf table has r_nm, rdf")],
)
def test_a_file_of_another_layout_is_named(tmp_path, content, message):
    path = tmp_path / "reference" / "observables" / "rdf.csv"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(DynmatchError, match=re.escape(str(path)) + ".*" + message):
        collect("rdf", [path])


def test_a_file_outside_the_results_tree_is_refused(tree, tmp_path):
    path = tmp_path / "rdf.csv"
    path.write_text((tree / "reference" / "observables" / "rdf.csv").read_text())
    with pytest.raises(DynmatchError, match="no model and seed in the path"):
        collect("rdf", [path])


def test_rows_know_their_model_and_seed(results):
    for name in (*OBSERVABLES, *TABLES):
        table = results.tables[name]
        found = set(zip(table["model"], table["seed"], strict=True))
        expected = set(DIFFUSION)
        if name not in OBSERVABLES:
            expected = {(model, seed) for model, seed in expected if model in DYNAMICS}
        if name == "vacf":
            expected = {(model, seed) for model, seed in expected if model != "bd"}
        assert found == expected


def test_comparison_has_value_floor_null_and_bar_of_each_model(drawn):
    shown = [axis for axis in drawn["comparison"].axes if axis.axison]
    assert len(shown) == len(SUMMED)
    for axis in shown:
        places = {
            container.get_label(): container.lines[0].get_ydata()[0]
            for container in axis.containers
        }
        assert set(places) == {"BD", "LD", "GLE", "FM, LD Einstein", "FM, BD Einstein"}
        assert places["BD"] == pytest.approx(np.mean(np.abs(np.log(seeds_of("bd") / 2e-3))))
        assert places["FM, LD Einstein"] == pytest.approx(np.log(2.0))
        (floor,) = axis.patches
        assert floor.get_y() + floor.get_height() == pytest.approx(FLOOR)
        (null,) = (line for line in axis.get_lines() if line.get_linestyle() == "--")
        assert null.get_ydata()[0] == NULL
        bars = {
            line.get_ydata()[0] for line in axis.get_lines() if line.get_color() == style.BAR_COLOR
        }
        known = {"RDF": 2 * FLOOR, "ADF": 2 * FLOOR, "MSD": 0.03}
        known |= {r"VACF, $": 0.004, "VACF, m": 0.015}  # of models with memory
        bar = next((bar for name, bar in known.items() if axis.get_ylabel().startswith(name)), None)
        assert bars == ({bar} if bar else set())


def test_baselines_of_one_potential_are_one_line_in_the_structure(results):
    assert set(results.curves("rdf")) == {"reference", "bd", "ld", "gle", "fm_ld_einstein"}
    assert set(results.curves("msd")) == {model for model, _ in DIFFUSION} - {"training_part"}


def test_the_overview_is_without_baselines(results):
    assert set(results.without_baselines().curves("msd")) == {"reference", "bd", "ld", "gle"}


def test_a_new_dynamics_is_drawn_as_a_trained_model_in_its_own_colour(results, monkeypatch):
    """With the lines of one that is trained, its name in the legend, and its place in overviews."""
    card = Card("somewhere.new", "NEW", "of another kind", velocities=True)
    monkeypatch.setitem(DYNAMICS, "new", card)
    looks = style.looks(DYNAMICS)
    trained = [looks[name] for name in DYNAMICS]
    assert [look.label for look in trained] == ["BD", "LD", "GLE", "NEW"]
    assert len({look.color for look in looks.values() if look.linewidth > 1}) == 1 + len(trained)
    assert looks["new"].linewidth == looks["ld"].linewidth > looks["fm_ld_einstein"].linewidth
    assert list(looks)[:5] == ["reference", "bd", "ld", "gle", "new"]
    monkeypatch.setitem(style.MODELS, "new", looks["new"])
    msd = results.tables["msd"]
    new = msd[msd["model"] == "ld"].assign(model="new")
    both = replace(results, tables={"msd": pd.concat([msd, new])}).without_baselines()
    assert set(both.curves("msd")) == {"reference", "bd", "ld", "gle", "new"}
