"""results.csv, the figure, and the table in docs/performance.md."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

BEGIN, END = "<!-- table: made by `make bench` -->", "<!-- end of table -->"


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
        values = (f"{v:,.3g}" if v < 100 else f"{v:,.0f}" for v in (r.ours, r.peer))
        ours, peer = values
        lines.append(
            f"| {r.task} | {r.size} | {r.cores} | {ours} {r.unit} | {peer} {r.unit} "
            f"| {r.peer_name} | {r.ratio:.3g} | {goal} |"
        )
    return "\n".join(lines)


def update_page(page: Path, table: pd.DataFrame) -> None:
    """Put the table between the two marks of a Markdown page."""
    text = page.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    page.write_text(f"{head}{BEGIN}\n{markdown(table)}\n{END}{tail}", encoding="utf-8")
