"""Metrics of models that differ from their reference by a known amount, their floors and nulls."""

import numpy as np
import pandas as pd
import pytest

from dynmatch.observables.msd import RELIABLE
from dynmatch.summary.rows import (
    COLUMNS,
    Compared,
    Row,
    recovery_rows,
    reference_rows,
    row,
    rows_of,
    summary,
    trained_rows,
)

R = (np.arange(120) + 0.5) * 0.005
COSINES = (np.arange(50) + 0.5) / 25 - 1
Q = (np.arange(200) + 0.5) / 50 - 3
LAGS = np.unique(np.geomspace(1, 15000, 84).round()) * 0.02
VACF_LAGS = np.arange(51) * 0.02
WAVE_NUMBERS = (8, 16)
D, VARIANCE = 0.0023, 0.41
TAU = 3 * D / VARIANCE
FREE_MSD = 6 * D * (LAGS - TAU * (1 - np.exp(-LAGS / TAU)))
CURVES = {
    "rdf": 1 - np.exp(-10 * R),
    "adf": np.full(50, 0.5) + 0.1 * COSINES,
    "tetrahedral": np.where(Q > 0.2, 1.25, 0.0),
    "msd": 0.8 * FREE_MSD,
    "msd_by_site": 0.8 * FREE_MSD,
    "vacf": np.exp(-5 * VACF_LAGS),
    "velocity_variance": np.array(VARIANCE),
} | {f"scattering {k}": np.exp(-(k**2) * D * LAGS) for k in WAVE_NUMBERS}
GRIDS = {
    "rdf_grid": R,
    "adf_grid": COSINES,
    "tetrahedral_grid": Q,
    "msd_grid": LAGS,
    "vacf_grid": VACF_LAGS,
    "scattering_grid": LAGS,
}
TRAINED = {
    "d0_nm2_per_ps": 0.006,
    "gamma_over_alpha": 410.0,
    "mass_over_alpha2": None,
    "minutes": 8.5,
    "updates": 12,
    "converged": False,
    "status": "cut off at 12 of 120 updates",
}
SETTINGS = {"potential.cutoff": 0.5}


def observed(seed: int, duration: float = 1000.0, noise: float = 0.01) -> dict[str, np.ndarray]:
    """A Gaussian process about CURVES: the mean of a length of 1000 ps has the deviation `noise`.

    Ten blocks, independent; points of a grid are independent of each other, but for the MSD, where
    all lags go up and down together.
    """
    rng = np.random.default_rng(seed)
    samples = dict(GRIDS) | {"duration": np.array(duration)}
    spread = noise * np.sqrt(10 * 1000 / duration)
    for name, curve in CURVES.items():
        shape = (10, *curve.shape)
        if name.startswith("msd"):
            samples[name] = curve * (1 + spread * rng.normal(size=(10, 1)))
        else:
            samples[name] = curve + spread * rng.normal(size=shape)
    samples["msd_by_site"] = samples["msd"]
    return samples


def fitted(value: float, error: float) -> pd.DataFrame:
    return pd.DataFrame({"d_nm2_per_ps": [value], "error_nm2_per_ps": [error]})


def compared(model, reference, training=None, model_d=(D, 0.0001)) -> Compared:
    diffusion = fitted(*model_d), fitted(D, 0.0001), fitted(1.01 * D, 0.0002)
    return Compared(model, reference, training or reference, diffusion, SETTINGS)


def metrics(*args, **options) -> dict[tuple[str, str], Row]:
    rows = rows_of("liquid", compared(*args, **options))
    return {(one.observable, one.metric): one for one in rows}


def test_a_model_like_its_reference_is_perfect():
    found = metrics(observed(1), observed(1))
    for name, one in found.items():
        if name[0] not in ("diffusion", "velocity_variance"):
            assert one.value == pytest.approx(0, abs=1e-15), name
    assert found["diffusion", "ratio"].value == 1
    assert found["velocity_variance", "ratio"].value == 1
    assert found["diffusion", "ratio"].error == pytest.approx(np.sqrt(2) * 0.0001 / D)


def test_known_differences_are_measured_within_the_range_of_each_metric():
    reference, model = observed(2), observed(2)
    model["rdf"] = model["rdf"] + np.where(R < 0.25, 0.04, 0) + np.where(R > 0.5, 9, 0)
    model["adf"] = model["adf"] + 0.02 * (-1) ** np.arange(50)
    model["tetrahedral"] = model["tetrahedral"] + np.where(Q > 0, 0.03, 9)
    factor = np.select([LAGS < 0.99, LAGS < 9.9, LAGS < 199], [1.5, 0.9, 1.05], 1.2)
    set_msd(model, model["msd"] * factor)
    model["vacf"] = model["vacf"] + np.where(VACF_LAGS == 0, 9, 0.03)
    model["vacf"][:, 10] += 0.02
    model["velocity_variance"] = model["velocity_variance"] * 0.98
    model["scattering 16"] = model["scattering 16"] + 0.01
    found = metrics(model, reference, model_d=(1.2 * D, 0.0001))

    def value(*name):
        return found[name].value

    assert value("rdf", "mae") == pytest.approx(0.02)
    assert value("adf", "mae") == pytest.approx(0.02)
    assert value("tetrahedral", "mae") == pytest.approx(0.03)
    assert value("msd", "log_rmse 0.02-1 ps") == pytest.approx(np.log(1.5), rel=0.02)
    assert value("msd", "log_rmse 1-10 ps") == pytest.approx(-np.log(0.9))
    assert value("msd", "log_rmse 10-200 ps") == pytest.approx(np.log(1.05))
    assert value("msd", "log_rmse beyond 200 ps") == pytest.approx(np.log(1.2))
    assert value("msd", "log_largest 0.02-200 ps") == pytest.approx(np.log(1.5))
    assert value("vacf", "mae") == pytest.approx(0.03 + 0.02 / 25)
    assert value("vacf", "largest") == pytest.approx(0.05)
    assert value("vacf", "mae to 1 ps") == pytest.approx(0.03 + 0.02 / 50)
    assert value("velocity_variance", "ratio") == pytest.approx(0.98)
    assert value("scattering", "mae k 16") == pytest.approx(0.01)
    assert value("scattering", "mae k 8") == pytest.approx(0, abs=1e-15)
    assert 0 < value("scattering", "mae") < 0.01
    assert value("diffusion", "ratio") == pytest.approx(1.2)


@pytest.mark.parametrize("duration", [250.0, 4000.0])
def test_a_perfect_model_shows_the_floor(duration):
    """Model and both parts are samples of one Gaussian process, of lengths that differ.

    Value over floor on average over 60 draws of the three. The mean absolute value of n normal
    numbers scatters by 0.76 / sqrt(n), n = 100 or 50, their largest more; the maximum of a few is
    what is left of MSDs, whose lags are not independent. Bound: 5 standard errors of the mean.
    """
    names = [("rdf", "mae"), ("adf", "mae"), ("vacf", "mae"), ("vacf", "largest")]
    values, floors = [], []
    for seed in range(60):
        of_model = observed(3 * seed, duration)
        found = metrics(of_model, observed(3 * seed + 1), observed(3 * seed + 2, 2000.0))
        values.append([found[name].value for name in names])
        floors.append([found[name].floor for name in names])
    values, floors = np.array(values), np.array(floors)
    difference = values / floors.mean(axis=0) - floors / floors.mean(axis=0)
    error = difference.std(axis=0, ddof=1) / np.sqrt(len(values))
    assert np.all(error < 0.05)
    assert np.all(np.abs(difference.mean(axis=0)) < 5 * error)


def test_the_floor_is_scaled_with_the_lengths():
    """Training part and scoring part of 1000 ps, which differ by 0.02; a model of 250 ps."""
    parts = [
        {"duration": np.array(duration), "x": np.full((4, 3), level)}
        for duration, level in ((250.0, 0.1), (1000.0, 0.0), (1000.0, 0.02))
    ]
    case = Compared(*parts, (), {})

    def mean(first, second):
        return float(np.mean(np.abs(first - second)))

    factor = np.sqrt((1 / 250 + 1 / 1000) / (2 / 1000))
    found = row(case, "x", "mae", mean, case.samples("x"), null=np.full(3, -0.3))
    assert found.value == pytest.approx(0.1)
    assert found.floor == pytest.approx(0.02 * factor)
    assert found.null == pytest.approx(0.3)
    squared = row(case, "x", "mse", lambda a, b: mean(a, b) ** 2, case.samples("x"), degree=2)
    assert squared.floor == pytest.approx((0.02 * factor) ** 2)
    assert row(case, "x", "y", mean, case.samples("x"), degree=0).floor == pytest.approx(0.02)


def test_the_floor_of_a_ratio_is_its_distance_from_one_or_its_error():
    """D of the training part is 1 % higher, with errors of 9 % and 4 %."""
    found = metrics(observed(4), observed(5), observed(6))["diffusion", "ratio"]
    assert found.floor == pytest.approx(1.01 * np.hypot(0.0002 / (1.01 * D), 0.0001 / D))
    far, near = observed(6), observed(5)
    far["velocity_variance"] = far["velocity_variance"] + 0.2 * VARIANCE
    of_velocities = metrics(observed(4), near, far)["velocity_variance", "ratio"]
    expected = far["velocity_variance"].mean() / near["velocity_variance"].mean() - 1
    assert of_velocities.floor == pytest.approx(expected)


def test_a_model_whose_diffusion_is_five_per_cent_high_is_told_at_its_number():
    model = observed(7, noise=1e-4)
    set_msd(model, model["msd"] * 1.05)
    found = metrics(
        model, observed(8, noise=1e-4), observed(9, noise=1e-4), model_d=(1.05 * D, 1e-5)
    )
    assert found["diffusion", "ratio"].value == pytest.approx(1.05)
    of_msd = found["msd", "log_rmse 10-200 ps"]
    assert of_msd.value == pytest.approx(np.log(1.05), abs=5 * of_msd.error)
    assert of_msd.value > 50 * of_msd.floor


def test_null_models_have_their_closed_forms():
    """Of curves without noise; the reference's MSD is 0.8 times that of the free particle."""
    reference = observed(10, noise=0.0)
    found = metrics(observed(10), reference)
    inside = R < 0.5
    assert found["rdf", "mae"].null == pytest.approx(np.mean(np.exp(-10 * R[inside])))
    assert found["adf", "mae"].null == pytest.approx(0.1 * np.mean(np.abs(COSINES)))
    short = VACF_LAGS[1:26]
    assert found["vacf", "mae"].null == pytest.approx(np.mean(np.exp(-5 * short)))
    assert found["vacf", "largest"].null == pytest.approx(np.exp(-0.1))
    for metric, one in found.items():
        if metric[0] == "msd":
            assert one.null == pytest.approx(np.log(1 / 0.8))
    seen = np.exp(-64 * D * LAGS) > 0.01
    expected = np.exp(-64 * FREE_MSD[seen] / 6) - np.exp(-64 * D * LAGS[seen])
    assert found["scattering", "mae k 8"].null == pytest.approx(np.mean(np.abs(expected)))
    assert found["diffusion", "ratio"].null == 0
    assert np.isnan(found["tetrahedral", "mae"].null)


def test_msd_is_compared_only_where_the_reference_is_reliable():
    """Beyond 20 ps the reference scatters by more than 5 %, and the model is wild."""
    reference, model = observed(11), observed(12)
    scatter = np.random.default_rng(3).normal(size=(40, 1))
    set_msd(reference, FREE_MSD * (1 + np.where(LAGS > 20, 0.9, 0.01) * scatter))
    set_msd(model, FREE_MSD * np.where(LAGS > 20, 100, 1) * np.ones((40, 1)))
    found = metrics(model, reference)
    last = LAGS[LAGS <= 20].max()
    cut_short, beyond = (
        found["msd", f"log_rmse {band}"] for band in ("10-200 ps", "beyond 200 ps")
    )
    assert cut_short.value < 0.01
    assert cut_short.status == f"to {last:g} ps, beyond which the reference's error exceeds 5%"
    assert np.isnan(beyond.value)
    assert beyond.status == f"the reference's error exceeds {RELIABLE:.0%}"
    assert found["msd", "log_rmse 1-10 ps"].status == ""


def set_msd(samples, msd) -> None:
    samples["msd"] = samples["msd_by_site"] = msd


def test_only_common_lags_are_compared_and_nothing_is_interpolated():
    """Every second frame of a model that is wild in the others; then no frame in common."""
    reference, model = observed(13), observed(13)
    model["vacf"] = model["vacf"][:, ::2]
    model["vacf_grid"] = VACF_LAGS[::2]
    shifted = np.where(np.arange(len(LAGS)) % 2, LAGS + 0.007, LAGS)
    set_msd(model, np.where(np.arange(len(LAGS)) % 2, 99.0, 1.0) * model["msd"])
    model["msd_grid"] = shifted
    found = metrics(model, reference)
    assert found["vacf", "mae"].value == pytest.approx(0, abs=1e-15)
    assert found["msd", "log_rmse 10-200 ps"].value == pytest.approx(0, abs=1e-12)
    model["msd_grid"], model["vacf_grid"] = LAGS + 0.007, np.round(VACF_LAGS[::2] + 0.007, 9)
    model["scattering_grid"] = LAGS + 0.007
    found = metrics(model, reference)
    for name in (("msd", "log_rmse 10-200 ps"), ("vacf", "mae"), ("scattering", "mae")):
        assert np.isnan(found[name].value)
        assert "no common lag" in found[name].status or "no lag" in found[name].status


def test_errors_are_the_spread_over_repetitions():
    """Offsets well beyond the noise: error against the scatter of 200 repetitions (sigma 5 %)."""
    values, errors = [], []
    for seed in range(200):
        model, reference = observed(2 * seed), observed(2 * seed + 1)
        model["rdf"] = model["rdf"] + 0.2
        set_msd(model, model["msd"] * 1.3)
        found = metrics(model, reference)
        both = found["rdf", "mae"], found["msd", "log_rmse 10-200 ps"]
        values.append([one.value for one in both])
        errors.append([one.error for one in both])
    ratio = np.sqrt(np.mean(np.square(errors), axis=0)) / np.std(values, axis=0)
    assert np.all(np.abs(ratio - 1) < 4 * 0.05)


def without_velocities(samples: dict) -> dict:
    empty = {"vacf_grid": np.empty(0), "vacf": np.empty((0, 0)), "velocity_variance": np.empty(0)}
    return samples | empty


def test_without_velocities_there_is_no_vacf_and_the_null_is_plain_diffusion():
    model, reference = without_velocities(observed(14)), observed(15)
    assert not [name for name in metrics(model, reference) if name[0] == "vacf"]
    blind = without_velocities(observed(15, noise=0.0))
    found = metrics(observed(14), blind)
    assert np.isnan(found["vacf", "mae"].value)
    assert found["vacf", "mae"].status == "the reference has no velocities"
    inside = (LAGS > 199.9) & (LAGS < 301)
    expected = np.log(6 * D * LAGS[inside] / (0.8 * FREE_MSD[inside]))
    null = found["msd", "log_rmse beyond 200 ps"].null
    assert null == pytest.approx(np.sqrt(np.mean(expected**2)))


def test_training_rows_are_taken_over_without_wall_time_and_what_a_model_lacks_is_left_out():
    found = {(one.observable, one.metric): one for one in trained_rows(TRAINED)}
    assert found["diffusion0", "value"].value == 0.006
    assert found["friction_time", "value"].value == 410
    assert found["training", "updates"].value == 12
    assert found["training", "converged"].value == 0
    assert found["training", "converged"].status == "cut off at 12 of 120 updates"
    assert ("mass_time", "value") not in found
    assert not [metric for _, metric in found if "minutes" in metric]


def test_seeds_are_averaged_with_the_error_of_their_spread_or_their_own():
    converged = Row("training", "converged", 1.0, status="ok")
    rows = {
        ("water", "reference", ""): reference_rows(fitted(0.0023, 0.0001), fitted(0.0022, 0.0001)),
        ("water", "bd", "1"): [
            Row("rdf", "mae", 0.02, 0.001, 0.004, 0.5),
            Row("diffusion", "ratio", 1.0, 0.03),
            converged,
        ],
        ("water", "bd", "2"): [
            Row("rdf", "mae", 0.04, 0.001, 0.006, 0.5),
            Row("diffusion", "ratio", 1.0, 0.04),
            Row("training", "converged", 0.0, status="MSD at 9 ps is 3.1% too small"),
        ],
        ("water", "ld", "1"): [Row("rdf", "mae", 0.03, 0.001)],
    }
    table = summary(rows)
    assert list(table) == COLUMNS
    means = table[table.seed == "mean"].set_index(["observable", "metric"])
    assert set(means.model) == {"bd"}
    rdf = means.loc[("rdf", "mae")]
    assert [rdf[name] for name in ("value", "error", "floor", "null")] == pytest.approx(
        [0.03, 0.01, 0.005, 0.5]
    )
    ratio = means.loc[("diffusion", "ratio")]
    assert ratio.error == pytest.approx(np.sqrt((0.03**2 + 0.04**2) / 2))
    assert rdf.status == ""
    assert means.loc[("training", "converged")].status == "seed 2: MSD at 9 ps is 3.1% too small"
    assert list(table.iloc[0])[:6] == ["water", "reference", "", "diffusion", "value", 0.0023]
    assert list(table.iloc[1])[3:6] == ["diffusion", "value of the training part", 0.0022]
    assert len(table) == 12


def test_recovery_is_learned_over_true_and_the_largest_error_of_the_mean_force():
    """In kB T, where the true g(r) is above 0.05: near contact it is not."""
    model, reference = observed(9, noise=0.0), observed(9, noise=0.0)
    deep = model["rdf"].mean(0) < 0.05
    assert deep.any()
    model["rdf"] = model["rdf"] * np.where(deep, 5.0, np.where(R < 0.3, np.exp(0.2), 1.0))
    truth = {"d0_nm2_per_ps": 0.005, "gamma_over_alpha": 500.0}
    rows = recovery_rows(compared(model, reference), TRAINED, truth)
    found = {one.metric: one.value for one in rows}
    assert found == {
        "diffusion0_ratio": pytest.approx(1.2),
        "gamma_over_alpha_ratio": pytest.approx(0.82),
        "pmf_max_kT": pytest.approx(0.2),
    }
