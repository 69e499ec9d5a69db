"""results.csv, the figure, and the table in docs/performance.md."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

BEGIN, END = "<!-- table: made by `make bench` -->", "<!-- end of table -->"
BEGIN_GPU = "<!-- table: made by `make bench-gpu` -->"


def updated(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """The rows of `new` in the place of those of the same tasks in `old`."""
    order = list(dict.fromkeys([*old.task, *new.task]))
    table = pd.concat([old[~old.task.isin(new.task)], new])
    return table.sort_values("task", key=lambda tasks: tasks.map(order.index), kind="stable")


def draw(table: pd.DataFrame, path: Path) -> None:
    """Ratio of every comparison on a logarithmic axis, with its goal."""
    shown = table[np.isfinite(table.ratio) & ~table.unit.eq("MB")][::-1].reset_index(drop=True)
    figure, axes = plt.subplots(figsize=(8.5, 0.3 * len(shown) + 1), layout="constrained")
    # what is worse than aimed at must not be told by colour alone
    colours = ["0.6" if pd.isna(met) else "C0" if met else "white" for met in shown.met]
    axes.barh(shown.index, shown.ratio - 1, left=1, color=colours, edgecolor="C0", zorder=2)
    axes.plot(shown.goal, shown.index, "k|", markersize=11, markeredgewidth=2, label="goal")
    labels = shown.task + ", " + shown["size"] + ", " + shown.cores.astype(str) + " core(s)"
    axes.set_yticks(shown.index, labels + "\nagainst " + shown.peer_name, fontsize=6)
    axes.set_xscale("log")
    axes.axvline(1, color="k", linewidth=0.8)
    axes.set_xlabel("times better than the peer (filled: goal met; white: missed; grey: no goal)")
    axes.legend()
    figure.savefig(path, dpi=150)
    plt.close(figure)


def markdown(table: pd.DataFrame) -> str:
    """The table in Markdown, two or three digits."""
    lines = [
        "| what | size | cores | ours | peer | | ratio | goal |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for r in table.itertuples():
        goal = "" if pd.isna(r.goal) else f"{r.goal:.2g}, {'met' if r.met else 'missed'}"
        peer = "" if pd.isna(r.peer) else f"{_shown(r.peer)} {r.unit}"
        ratio = "" if pd.isna(r.ratio) else f"{r.ratio:.3g}"
        name = "" if pd.isna(r.peer) else r.peer_name
        lines.append(
            f"| {r.task} | {r.size} | {r.cores} | {_shown(r.ours)} {r.unit} | {peer} "
            f"| {name} | {ratio} | {goal} |"
        )
    return "\n".join(lines)


def _shown(value: float) -> str:
    return f"{value:,.3g}" if value < 100 else f"{value:,.0f}"


def update_page(page: Path, table: pd.DataFrame, begin: str = BEGIN) -> None:
    """Put the table between `begin` and the next end mark of a Markdown page."""
    text = page.read_text(encoding="utf-8")
    head, rest = text.split(begin)
    tail = rest.split(END, 1)[1]
    page.write_text(f"{head}{begin}\n{markdown(table)}\n{END}{tail}", encoding="utf-8")
