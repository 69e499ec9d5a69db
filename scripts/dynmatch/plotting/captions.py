"""Captions of figures, from the config of the run."""

from collections.abc import Mapping

from dynmatch.observables.registry import ANALYSES
from dynmatch.plotting.registry import FIGURES


def caption(figure: str, system: Mapping, analysis: str, seeds: int) -> str:
    """What is to be seen in a figure, and the samples behind it, in reStructuredText.

    system  a section of the (complete) config, with this `analysis` and number of seeds
    """
    card, computed = FIGURES[figure], ANALYSES[analysis]
    notes = {name: one.note for name, one in computed.observables.items()}
    sections = _readable(system)
    text = card.caption.format(**sections, notes=notes)
    if not card.sampling:
        return text
    reference, validation = system["reference"], system["validation"]
    length = f" of {reference['length']} ps" if "length" in reference else ""
    return (
        f"{text}\n\nSamples: of {reference.get('replicas', 1)} reference replica(s){length} the "
        "last one, or the last third of a single one, which no model is trained on; "
        f"{validation['replicas']} of {validation['length']} ps for every model and seed, "
        f"{seeds} seed(s); {computed.sampling.format(**sections)} Floor: one standard error of the "
        "difference between the part of the reference that is trained on and the one shown."
    )


def _readable(section: Mapping) -> dict:
    """The same with lists as text: 1.0, 5.0."""
    return {key: _text(value) for key, value in section.items()}


def _text(value):
    if isinstance(value, Mapping):
        return _readable(value)
    return ", ".join(map(str, value)) if isinstance(value, list) else value
