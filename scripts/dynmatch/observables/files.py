"""What an analysis leaves behind: its tables as CSV, and the samples behind them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from dynmatch.storage.atomic import replacing


def write(
    paths: Mapping[str, str | Path],
    tables: Mapping[str, pd.DataFrame],
    samples: Mapping[str, np.ndarray],
) -> None:
    """Write each table to the path of its name, and the samples to that of `samples`."""
    for name, table in tables.items():
        with replacing(paths[name]) as path:
            table.to_csv(path, index=False, float_format="%.8g")
    with replacing(paths["samples"]) as path:
        np.savez_compressed(path, **samples)
