"""Side-by-side timings of dynmatch and what a user would take instead: `python -m benchmarks`."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
