"""Which source files of this library a piece of code rests on, read from import statements."""

import ast
from collections.abc import Iterable
from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[1]


def imports(path: Path) -> set[str]:
    """Dotted names that the file imports: modules, and what is taken from them."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def closure(names: Iterable[str]) -> list[Path]:
    """Files of this library behind dotted names such as dynmatch.training, with all they import.

    Names of other libraries, and of what a module holds, are passed over.
    """
    waiting = set(names)
    seen = set()
    files = set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        file = _file(name)
        if file is not None:
            files.add(file)
            waiting |= {name.rpartition(".")[0], *imports(file)} - seen
    return sorted(files)


def _file(name: str) -> Path | None:
    """The file of a module below dynmatch; None for any other name."""
    root, *below = name.split(".")
    if root != "dynmatch" or not below:
        return None
    path = LIBRARY.joinpath(*below)
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in candidates if file.is_file()), None)
