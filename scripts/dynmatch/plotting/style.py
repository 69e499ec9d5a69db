"""One look for every figure: sizes, model colours and line styles, files."""

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import matplotlib
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dynmatch.dynamics.registry import DYNAMICS, Card
from dynmatch.storage.atomic import replacing

RC_FILE = Path(__file__).with_name("dynmatch.mplstyle")
SINGLE_COLUMN = 3.4
"""Width of a figure one column wide, in."""
DOUBLE_COLUMN = 7.0
"""Width of a figure two columns wide, in."""

WINDOW_COLOR = "#fbf1d3"
WINDOW_TEXT_COLOR = "#6b5618"
UNRELIABLE_COLOR = "#e6e6e6"
UNSAMPLED_COLOR = "#c8c8c8"
TOLERANCE_COLOR = "#cfe3d2"
BAR_COLOR = "#2e7d3c"
WARNING_COLOR = "#c00000"
WARNING_LETTER, WARNING_LINE = 0.056, 0.13
"""Width of a letter and height of a line of a warning, in."""
FREE_ENERGY_MAP, DIFFERENCE_MAP = "mako", "vlag"


@dataclass(frozen=True)
class ModelStyle:
    """How one model is drawn. The line style tells models apart where the colour does not."""

    label: str
    color: tuple[float, float, float] | str
    linestyle: str | tuple
    linewidth: float
    zorder: float
    marker: str = "o"


REFERENCE = "reference"
_BLUE, _ORANGE, _GREEN, _VERMILLION, _PURPLE, _BROWN, _PINK, _, _, _SKY = seaborn.color_palette(
    "colorblind"
)
_TRAINED = (
    (_VERMILLION, (0, (4, 1.6)), 2.3),
    (_BLUE, "-", 2.2),
    (_GREEN, "-", 2.25),
    (_SKY, (0, (2, 1)), 2.15),
    (_PINK, (0, (8, 2)), 2.12),
)
"""Colour, line and place in the order of drawing of the dynamics that are trained, in the order of
the registry."""
_METHODS = {"fm": ("FM", _BROWN), "rem": ("REM", _PURPLE), "static": ("static", _ORANGE)}
_MOTIONS = {
    "ld_einstein": ("LD Einstein", (0, (5, 1.2, 1, 1.2)), "o"),
    "ld_thermostat": ("LD thermostat", "-", "^"),
    "bd_einstein": ("BD Einstein", (0, (1, 1)), "s"),
}


def looks(dynamics: Mapping[str, Card]) -> dict[str, ModelStyle]:
    """The style of every model, of those trained with these dynamics too.

    The reference is a thick line below the others, baselines are thin.
    """
    trained = {
        name: ModelStyle(card.label, color, line, 1.1, place, "D")
        for (name, card), (color, line, place) in zip(dynamics.items(), cycle(_TRAINED))
    }
    baselines = {
        f"{method}_{motion}": ModelStyle(f"{name}, {text}", color, line, 0.7, 2.1, marker)
        for method, (name, color) in _METHODS.items()
        for motion, (text, line, marker) in _MOTIONS.items()
    }
    reference = ModelStyle("reference", "black", "-", 2.0, 2.0)
    return {REFERENCE: reference} | trained | baselines


MODELS = looks(DYNAMICS)
"""Every model that has a style, in the order of legends."""


def method_of(model: str) -> str:
    """Models with the same method have the same potential, and the same structure."""
    return model.split("_")[0]


def applied():
    """Context in which figures are made and saved in this style."""
    return matplotlib.rc_context(fname=RC_FILE)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in, whose panels are laid out without overlap."""
    return Figure(figsize=(width, height), layout="constrained")


def letter(axis: Axes, name: str) -> None:
    """Write the panel letter above the upper left corner of a panel."""
    axis.annotate(
        name,
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 3),
        textcoords="offset points",
        fontweight="bold",
        fontsize=9,
    )


def warn(figure: Figure, lines: Iterable[str]) -> None:
    """Write lines in red below the panels of a figure, broken to its width; it grows by them."""
    width = int(figure.get_figwidth() / WARNING_LETTER)
    text = "\n".join(textwrap.fill(line, width, subsequent_indent="   ") for line in lines)
    if text:
        figure.set_figheight(figure.get_figheight() + WARNING_LINE * (text.count("\n") + 1))
        figure.supxlabel(text, x=0.01, ha="left", fontsize=7, color=WARNING_COLOR)


def save(figure: Figure, pdf: str | Path, png: str | Path) -> None:
    """Write the figure as PDF and PNG, the same bytes for the same figure."""
    with replacing(pdf) as temporary:
        figure.savefig(temporary, metadata={"CreationDate": None})
    with replacing(png) as temporary:
        figure.savefig(temporary)
