"""Metrics of models that differ from their reference by a known amount."""

import numpy as np
import pandas as pd
import pytest

from dynmatch.summary.rows import (
    COLUMNS,
    Compared,
    recovery_rows,
    reference_rows,
    rows_of,
    summary,
    trained_rows,
)

LAGS = np.geomspace(0.1, 100, 61)
TRAINED = {
    "d0_nm2_per_ps": 0.006,
    "gamma_over_alpha": 410.0,
    "mass_over_alpha2": None,
    "minutes": 8.5,
    "converged": True,
}


def noisy(rng, curve: np.ndarray, samples: int, noise: float) -> np.ndarray:
    """Samples (S, bins) about `curve`, relative noise that is common to all bins of a sample."""
    return curve * (1 + noise * rng.normal(size=(samples, 1)))


def observed(seed: int, velocities: bool = True, noise: float = 0.01) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    r = (np.arange(120) + 0.5) * 0.005
    cosines = (np.arange(50) + 0.5) / 25 - 1
    lags = np.arange(51) * 0.02
    vacf = noisy(rng, np.exp(-5 * lags), 10, noise)
    msd = noisy(rng, 0.015 * LAGS, 40, noise)
    return {
        "rdf_grid": r,
        "rdf": noisy(rng, 1 - np.exp(-10 * r), 10, noise),
        "adf_grid": cosines,
        "adf": noisy(rng, np.full(50, 0.5), 10, noise),
        "msd_grid": LAGS,
        "msd": msd,
        "msd_by_site": msd[::-1],
        "vacf_grid": lags if velocities else np.empty(0),
        "vacf": vacf if velocities else np.empty((0, 0)),
    }


def fitted(value: float, error: float) -> pd.DataFrame:
    return pd.DataFrame({"d_nm2_per_ps": [value], "error_nm2_per_ps": [error]})


def metrics(model, reference, model_d=(0.0025, 0.0001), reference_d=(0.0025, 0.0001)):
    diffusion = fitted(*model_d), fitted(*reference_d)
    settings = {"potential.cutoff": 0.5, "training.lags": [5.0, 1.0]}
    compared = Compared(model, reference, diffusion, settings)
    rows = [*rows_of("liquid", compared), *trained_rows(TRAINED)]
    return {(observable, metric): (value, error) for observable, metric, value, error in rows}


def test_a_model_like_its_reference_is_perfect():
    found = metrics(observed(1), observed(1))
    for name in (("rdf", "mae"), ("adf", "mae"), ("msd", "log_rmse"), ("vacf", "mae")):
        assert found[name][0] == pytest.approx(0, abs=1e-15)
    assert found["diffusion", "ratio"][0] == 1
    assert found["diffusion", "ratio"][1] == pytest.approx(np.sqrt(2) * 0.04)
    assert found["diffusion", "value"] == (0.0025, 0.0001)


def test_known_differences_are_measured_within_the_range_of_each_metric():
    reference, model = observed(2), observed(2)
    r = model["rdf_grid"]
    model["rdf"] = model["rdf"] + np.where(r < 0.25, 0.04, 0) + np.where(r > 0.5, 9, 0)
    model["adf"] = model["adf"] + 0.02 * (-1) ** np.arange(50)
    set_msd(model, model["msd"] * np.where(LAGS < 0.99, 5.0, np.exp(0.1)))
    model["vacf"] = model["vacf"] + 0.03
    found = metrics(model, reference, model_d=(0.003, 0.0001))
    assert found["rdf", "mae"][0] == pytest.approx(0.02)
    assert found["adf", "mae"][0] == pytest.approx(0.02)
    assert found["msd", "log_rmse"][0] == pytest.approx(0.1)
    assert found["vacf", "mae"][0] == pytest.approx(0.03)
    assert found["diffusion", "ratio"][0] == pytest.approx(1.2)


def test_msd_is_compared_only_where_the_reference_is_reliable():
    """Beyond 10 ps the reference scatters by more than 5 %, and the model is wild."""
    reference, model = observed(3), observed(3)
    scatter = np.random.default_rng(3).normal(size=(40, 1))
    set_msd(reference, 0.015 * LAGS * (1 + np.where(LAGS > 10, 0.9, 0.01) * scatter))
    set_msd(model, 0.015 * LAGS * np.where(LAGS > 10, 100, 1) * np.ones((40, 1)))
    assert found_log_rmse(model, reference) < 0.01
    set_msd(reference, 0.015 * LAGS * (1 + 0.9 * scatter))
    assert np.isnan(found_log_rmse(model, reference))


def set_msd(samples, msd) -> None:
    samples["msd"] = samples["msd_by_site"] = msd


def found_log_rmse(model, reference) -> float:
    return metrics(model, reference)["msd", "log_rmse"][0]


def test_different_lags_of_model_and_reference_are_interpolated():
    reference, model = observed(4, noise=0.001), observed(4, noise=0.001)
    model["msd_grid"] = np.geomspace(0.2, 60, 40)
    set_msd(model, 0.015 * model["msd_grid"] * np.ones((40, 1)))
    model["vacf_grid"] = np.arange(26) * 0.04
    model["vacf"] = model["vacf"][:, ::2]
    found = metrics(model, reference)
    assert found["msd", "log_rmse"][0] < 1e-3
    assert found["vacf", "mae"][0] == pytest.approx(0, abs=1e-12)


def test_errors_are_the_spread_over_repetitions():
    """Offsets well beyond the noise: error against the scatter of 200 repetitions (sigma 5 %)."""
    values, errors = [], []
    for seed in range(200):
        model, reference = observed(2 * seed), observed(2 * seed + 1)
        model["rdf"] = model["rdf"] + 0.2
        set_msd(model, model["msd"] * 1.3)
        found = metrics(model, reference)
        values.append([found["rdf", "mae"][0], found["msd", "log_rmse"][0]])
        errors.append([found["rdf", "mae"][1], found["msd", "log_rmse"][1]])
    ratio = np.sqrt(np.mean(np.square(errors), axis=0)) / np.std(values, axis=0)
    assert np.all(np.abs(ratio - 1) < 4 * 0.05)


def test_without_velocities_there_is_no_vacf_row():
    found = metrics(observed(5, velocities=False), observed(6))
    assert ("vacf", "mae") not in found


def test_training_rows_are_taken_over_and_what_a_model_lacks_is_left_out():
    found = metrics(observed(7), observed(8))
    assert found["diffusion0", "value"][0] == 0.006
    assert found["friction_time", "value"][0] == 410
    assert found["training", "minutes"][0] == 8.5
    assert found["training", "converged"][0] == 1
    assert ("mass_time", "value") not in found


def test_seeds_are_averaged_with_the_error_of_their_spread_or_their_own():
    rows = {
        ("water", "reference", ""): reference_rows(fitted(0.0023, 0.0001)),
        ("water", "bd", "1"): [("rdf", "mae", 0.02, 0.001), ("diffusion", "ratio", 1.0, 0.03)],
        ("water", "bd", "2"): [("rdf", "mae", 0.04, 0.001), ("diffusion", "ratio", 1.0, 0.04)],
        ("water", "ld", "1"): [("rdf", "mae", 0.03, 0.001)],
    }
    table = summary(rows)
    assert list(table) == COLUMNS
    means = table[table.seed == "mean"]
    assert means.to_dict("records") == [
        {
            "system": "water",
            "model": "bd",
            "seed": "mean",
            "observable": "rdf",
            "metric": "mae",
            "value": pytest.approx(0.03),
            "error": pytest.approx(0.01),
        },
        {
            "system": "water",
            "model": "bd",
            "seed": "mean",
            "observable": "diffusion",
            "metric": "ratio",
            "value": pytest.approx(1.0),
            "error": pytest.approx(np.sqrt((0.03**2 + 0.04**2) / 2)),
        },
    ]
    assert list(table.iloc[0])[:6] == ["water", "reference", "", "diffusion", "value", 0.0023]
    assert len(table) == 8


def test_recovery_is_learned_over_true_and_the_largest_error_of_the_mean_force():
    """In kB T, where the true g(r) is above 0.05: near contact it is not."""
    model, reference = observed(9), observed(9)
    r = model["rdf_grid"]
    deep = model["rdf"].mean(0) < 0.05
    assert deep.any()
    model["rdf"] = model["rdf"] * np.where(deep, 5.0, np.where(r < 0.3, np.exp(0.2), 1.0))
    compared = Compared(model, reference, (fitted(1, 0), fitted(1, 0)), {})
    truth = {"d0_nm2_per_ps": 0.005, "gamma_over_alpha": 500.0}
    rows = recovery_rows(compared, TRAINED, truth)
    found = {metric: value for _, metric, value, _ in rows}
    assert found == {
        "diffusion0_ratio": pytest.approx(1.2),
        "gamma_over_alpha_ratio": pytest.approx(0.82),
        "pmf_max_kT": pytest.approx(0.2),
    }
