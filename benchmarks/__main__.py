"""Run every comparison: python -m benchmarks [RESULTS FOLDER OF A FINISHED RUN]"""

import argparse
import sys
import time
from pathlib import Path

import jax
import pandas as pd

from benchmarks import (
    ROOT,
    cg_over_aa,
    cg_simulation,
    many_devices,
    observables,
    projection,
    report,
    update,
    workflow,
)
from benchmarks.water import make_water

COMPARISONS = {
    "simulation": lambda water, run: cg_simulation.compare(water),
    "cg-over-aa": lambda water, run: cg_over_aa.compare(water, run / "water" / "reference"),
    "update": lambda water, run: update.compare(water),
    "large": lambda water, run: update.large(water),
    "devices": lambda water, run: many_devices.compare(water),
    "observables": lambda water, run: observables.compare(water),
    "projection": lambda water, run: projection.compare(),
    "workflow": workflow.compare,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("run", nargs="?", type=Path, default=ROOT / "results" / "laptop")
    parser.add_argument(
        "--only", nargs="+", choices=COMPARISONS, help="these alone, in place of their old rows"
    )
    arguments = parser.parse_args()
    run = arguments.run.resolve()
    jax.config.update("jax_platforms", "cpu")
    water = make_water(run)
    rows, failed = [], []
    for name in arguments.only or COMPARISONS:
        begun = time.monotonic()
        print(f"{name} ...", flush=True)
        try:
            new = COMPARISONS[name](water, run)
        except Exception as error:
            # the others took minutes, and are worth having
            print(f"failed: {name}: {error!r}", flush=True)
            failed.append(name)
            continue
        print(pd.DataFrame(new).to_string(index=False), flush=True)
        print(f"{name}: {time.monotonic() - begun:.0f} s", flush=True)
        rows += new
    table = pd.DataFrame(rows)
    folder = ROOT / "benchmarks"
    if arguments.only:
        table = report.updated(pd.read_csv(folder / "results.csv"), table)
    table.to_csv(folder / "results.csv", index=False, float_format="%.6g")
    report.draw(table, folder / "results.png")
    report.update_page(ROOT / "docs" / "performance.md", table)
    print(f"{folder / 'results.csv'}, {folder / 'results.png'} and docs/performance.md are written")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
