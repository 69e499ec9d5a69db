"""The rules of the workflow as text."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _rules() -> dict[str, str]:
    text = "".join(path.read_text() for path in sorted((ROOT / "rules").rglob("*.smk")))
    parts = re.split(r"^rule (\w+):\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


RULES = _rules()
"""Text of every rule, by its name."""
