"""Hooks of MkDocs: pages that are made from the program, and links that leave docs/.

Config keys, figures, bars and the command line are written down once, in the program; their pages
are made from there whenever the site is built.
"""

import argparse
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from dynmatch.cli.main import parser_for  # noqa: E402
from dynmatch.cli.registry import COMMANDS  # noqa: E402
from dynmatch.plotting.registry import FIGURES  # noqa: E402
from dynmatch.summary import bars  # noqa: E402
from dynmatch.systems.registry import SYSTEMS  # noqa: E402
from dynmatch.workflow.schema import schema  # noqa: E402

log = logging.getLogger("mkdocs.hooks")
LINK = re.compile(r"(!?)\[([^\]]+)\]\((\.\./[^)#]+)(#[^)]*)?\)")


def on_files(files, config):
    made = {
        "reference/config.md": config_page(),
        "reference/command-line.md": command_page(),
        "reference/figures.md": figures_page(),
        "reference/summary.md": summary_page(),
        "contributing.md": of_root("CONTRIBUTING.md"),
        "changelog.md": of_root("CHANGELOG.md"),
    }
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown, page, config, files):
    """Links to files of the repository that are no pages become plain text: the site may lie
    anywhere. One that leads nowhere is a warning, which a strict build fails with."""
    here = (ROOT / "docs" / page.file.src_uri).parent

    def plain(found):
        target = (here / found[3]).resolve()
        if target.is_relative_to(ROOT / "docs"):
            return found[0]
        if not target.exists():
            log.warning("%s: there is no %s", page.file.src_uri, found[3])
        return found[2]

    return LINK.sub(plain, markdown)


def of_root(name: str) -> str:
    """A page of the top of the repository, with its links as seen from docs/."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.sub(r"\]\((?!https?:|#)(?:docs/)?", "](", text)


def config_page() -> str:
    whole = schema()
    parts = [
        "# Config",
        "Units: nm, ps, amu, kJ/mol, K, if a description names no others. A key that a config "
        "leaves out takes its default. A config is checked before the first job.",
        "## Keys of a run",
        *table(whole, whole["$defs"]),
    ]
    for kind in SYSTEMS:
        parts += [
            f"## Systems of kind {kind}",
            f"Below `systems.NAME`, with `kind: {kind}`.",
            *table(whole["$defs"][f"{kind}_system"], whole["$defs"]),
        ]
    return "\n\n".join(parts) + "\n"


def table(section: Mapping, definitions: Mapping) -> list[str]:
    """A table of all keys of a section of the schema, with those below them by dotted names."""
    rows = ["| key | meaning | values | default |", "|---|---|---|---|"]
    for key, value in keys_of(section, definitions):
        meaning = value.get("description", "").replace("|", "\\|")
        default = f"`{value['default']}`" if "default" in value else ""
        rows.append(f"| `{key}` | {meaning} | {values_of(value)} | {default} |")
    return ["\n".join(rows)]


def keys_of(section: Mapping, definitions: Mapping, above: str = "") -> Iterator[tuple]:
    for name, value in section.get("properties", {}).items():
        value = resolved(value, definitions)
        key = f"{above}{name}"
        if "properties" in value:
            yield from keys_of(value, definitions, f"{key}.")
        else:
            yield key, value


def resolved(value: Mapping, definitions: Mapping) -> Mapping:
    while "$ref" in value:
        own = {name: each for name, each in value.items() if name != "$ref"}
        value = definitions[value["$ref"].rpartition("/")[2]] | own
    return value


def values_of(value: Mapping) -> str:
    """What a key may be, in words."""
    if "enum" in value:
        return ", ".join(f"`{each}`" for each in value["enum"])
    kind = value.get("type", "")
    words = [" or ".join(kind) if isinstance(kind, list) else kind]
    limits = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    words += [f"{text} {value[name]}" for name, text in limits.items() if name in value]
    return ", ".join(word for word in words if word)


def command_page() -> str:
    parts = [
        "# Command line",
        "`pip install .` in a clone installs the command `dynmatch` (it needs a connection). "
        "Without it, write `PYTHONPATH=scripts .venv/bin/python -m dynmatch`. "
        "Units: nm, ps, amu, kJ/mol, K. Exit status: 0, or 1 with one line `error: ...`.",
    ]
    for name, (_, text) in COMMANDS.items():
        words = help_of(name)
        parts += [f"## dynmatch {name}", f"{text[0].upper()}{text[1:]}.", f"```text\n{words}```"]
    return "\n\n".join(parts) + "\n"


def help_of(name: str) -> str:
    """What `dynmatch NAME --help` prints, at one width."""
    actions = parser_for([name])._subparsers._group_actions
    (choices,) = (each.choices for each in actions if isinstance(each.choices, dict))
    parser = choices[name]
    parser.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=96)
    return parser.format_help()


def figures_page() -> str:
    rows = ["| figure | shows | from the tables |", "|---|---|---|"]
    for name, card in FIGURES.items():
        text = re.sub(r"\s+", " ", card.caption).replace("|", "\\|").replace("{", "`{")
        text = text.replace("}", "}`")
        rows.append(f"| `{name}` | {text} | {', '.join(card.tables)} |")
    return (
        "# Figures\n\nEvery figure is written to `results/{run}/figures/{system}_{figure}`, as PDF "
        "and PNG, for the systems that have its tables. Words in braces are filled from the "
        "config. Captions in the report name the samples behind means and errors.\n\n"
        + "\n".join(rows)
        + "\n"
    )


def summary_page() -> str:
    rows = []
    for title, group in (("liquids", bars.LIQUID), ("molecules", bars.MOLECULE)):
        for bar in group:
            width = f"{bar.within:g}" if bar.within else ""
            floors = f"{bar.floors:g} floors" if bar.floors else ""
            within = " or ".join(word for word in (width, floors) if word)
            models = ", ".join(bar.models) or "all"
            cells = (title, f"{bar.observable} {bar.metric}", f"{bar.target:g}", within, models)
            rows.append(f"| {' | '.join(cells)} |")
    return (
        (ROOT / "docs/reference/summary.in")
        .read_text(encoding="utf-8")
        .replace("BARS", "\n".join(rows))
    )
