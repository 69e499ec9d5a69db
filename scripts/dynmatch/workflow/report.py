"""Tables and texts as HTML pages that stand alone, for the report."""

import html
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd
import yaml

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 14px sans-serif; margin: 1.5em; }}
table {{ border-collapse: collapse; }}
th, td {{ padding: 0.2em 0.8em; border-bottom: 1px solid #ddd; text-align: right; }}
</style></head><body><h1>{title}</h1>{content}</body></html>
"""


def table(title: str, content: pd.DataFrame) -> str:
    """A page with `content` as a table; empty cells stay empty."""
    cells = content.to_html(index=False, na_rep="", border=0, float_format=lambda x: f"{x:.4g}")
    return PAGE.format(title=html.escape(title), content=cells)


def text(title: str, content: str) -> str:
    """A page with `content` as it is."""
    return PAGE.format(title=html.escape(title), content=f"<pre>{html.escape(content)}</pre>")


def as_yaml(config: Mapping) -> str:
    """`config` in the order of its keys."""
    return yaml.safe_dump(_plain(config), sort_keys=False, allow_unicode=True)


def _plain(value):
    """Plain dictionaries and lists out of what looks like them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def versions(models: Iterable[tuple[tuple, Mapping]]) -> pd.DataFrame:
    """One row for each run (system, model, seed): how it ended, and with which code."""
    rows = []
    for (system, model, seed), record in models:
        row = {"system": system, "model": model, "seed": seed}
        row |= {key: record.get(key) for key in ("ended_by", "updates", "minutes")}
        row["commit"] = (record.get("git_commit") or "")[:10]
        rows.append(row | dict(record["library_versions"]))
    return pd.DataFrame(rows)


def run_times(benchmarks: Path) -> pd.DataFrame:
    """Seconds and peak memory (MB) of every job with a benchmark file below `benchmarks`."""
    rows = []
    for path in sorted(benchmarks.rglob("*.tsv")):
        first = pd.read_csv(path, sep="\t", na_values="-").iloc[0]
        job = path.relative_to(benchmarks).with_suffix("").as_posix()
        rows.append({"job": job, "seconds": first["s"], "peak memory, MB": first["max_rss"]})
    return pd.DataFrame(rows, columns=["job", "seconds", "peak memory, MB"])
