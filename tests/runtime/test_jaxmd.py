"""JAX-MD is entered without importing all of it; its other parts are there for whoever asks."""

import subprocess
import sys

from tests.helpers.rule_files import ROOT

CODE = """
import sys
sys.path.insert(0, "scripts")
from dynmatch.dynamics import langevin
assert "jax_md.simulate" in sys.modules
assert not {"jax_md.rigid_body", "jax_md.nn", "e3nn_jax", "sympy"} & set(sys.modules)
import jax_md
assert jax_md.quantity.kinetic_energy
assert jax_md.simulate is langevin.simulate
assert jax_md.smap.pair
assert not hasattr(jax_md, "nonsense")
"""


def test_only_the_parts_that_are_used_are_imported():
    subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, check=True)
