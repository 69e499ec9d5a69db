"""A figure by its name, drawn and written."""

from pathlib import Path

from dynmatch.plotting import style
from dynmatch.plotting.registry import FIGURES
from dynmatch.plotting.tables import Results
from dynmatch.runtime.names import named


def render(name: str, results: Results, pdf: str | Path, png: str | Path) -> None:
    """Draw the figure called `name`, with a warning of models that are not to be trusted, and write
    it to both files."""
    draw = named(FIGURES[name].function)
    with style.applied():
        figure = draw(results)
        style.warn(figure, results.warnings())
        style.save(figure, pdf, png)
