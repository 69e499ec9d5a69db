r"""A potential with a linear three-body term, written out as sums over pairs and triplets.

Where E is linear in the invariants (`potential.hidden: []`), with weights v_c of the m_c^(0) and
w_lab of the contractions m_a^(l).m_b^(l), a <= b, the potential of `dynmatch.potentials` is exactly

    U = sum_{i<j} u(r_ij) + sum_i sum_{j<k} w(r_ij, r_ik, r_jk)

    w = kB T sum_{l, a<=b} w_lab (h_a(s_ij) h_b(s_ik) + h_b(s_ij) h_a(s_ik)) t^l
    t = (s_ij + s_ik - s_jk)/2 = d_ij.d_ik,      s = (r / three_body_cutoff)^2

The terms j = k of the contractions and the m_c^(0) depend on one distance only. They occur at both
ends of a pair and belong to u:

    u = u_pair + 2 kB T (sum_c v_c h_c(s) + sum_{l, a<=b} w_lab h_a(s) h_b(s) s^l)

Everything here is NumPy in double precision.
"""

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import Polynomial

from dynmatch.errors import DynmatchError
from dynmatch.model import Model
from dynmatch.potentials import three_body
from dynmatch.potentials.pair import Curve


@dataclass(frozen=True)
class PairsAndTriplets:
    """What is needed to write U out.

    curve        the pair term's fixed part
    form         that of the three-body term
    coefficients (basis,) of the pair spline, kB T
    radial       h_c(s), one polynomial in s for every channel, valid for s < 1
    single       (channels,) v_c
    coupling     {(l, a, b): w_lab}, a <= b
    """

    curve: Curve
    form: three_body.Form
    coefficients: np.ndarray
    radial: list[Polynomial]
    single: np.ndarray
    coupling: dict[tuple[int, int, int], float]

    def pair(self, r: np.ndarray, derivative: int = 0) -> np.ndarray:
        """u(r), kJ/mol, or its first derivative, kJ/mol/nm, at distances r (nm)."""
        form = self.form
        spline = self.curve.design(r, derivative) @ self.coefficients
        own = Polynomial([0.0])
        for v, h in zip(self.single, self.radial, strict=True):
            own = own + v * h
        for (rank, a, b), w in self.coupling.items():
            own = own + w * self.radial[a] * self.radial[b] * Polynomial([0.0, 1.0]) ** rank
        s = (r / form.cutoff) ** 2
        if derivative:
            ends = own.deriv()(s) * 2 * r / form.cutoff**2
        else:
            ends = own(s)
        of_triplets = np.where(s < 1, 2 * ends, 0.0)
        return form.thermal_energy * (self.curve.core_energy(r, derivative) + spline + of_triplets)

    def triplet(self, r_ij: np.ndarray, r_ik: np.ndarray, r_jk: np.ndarray) -> np.ndarray:
        """w, kJ/mol, of a centre i with neighbours j and k; arrays that broadcast, nm."""
        cutoff = self.form.cutoff
        first, second, third = ((r / cutoff) ** 2 for r in (r_ij, r_ik, r_jk))
        h, g = ([np.where(s < 1, p(s), 0.0) for p in self.radial] for s in (first, second))
        t = (first + second - third) / 2
        total = sum(
            w * (h[a] * g[b] + h[b] * g[a]) * t**rank for (rank, a, b), w in self.coupling.items()
        )
        return self.form.thermal_energy * total


def require_one_type(model: Model) -> None:
    """Raise DynmatchError where `model` has several types of sites, or terms of the potential that
    are not written, by their names."""
    kinds = {term.kind for term in model.potential.terms}
    others = ", ".join(sorted(kinds - {"pair", "three_body"}))
    elsewhere = "run it with the script in openmm/, ASE or Python (docs/api.md)"
    if others == "bonded" or len(model.potential.names) > 1:
        raise DynmatchError(
            "the model has several types of sites or bonds between them, and only the terms of a "
            f"single type without bonds are written for LAMMPS; {elsewhere}"
        )
    if others or len(kinds) < 2:
        raise DynmatchError(
            f"a potential of the terms {', '.join(sorted(kinds))} is not written for LAMMPS, only "
            f"pair and three_body together; {elsewhere}"
        )


def write_out(model: Model) -> PairsAndTriplets:
    """The pairs and triplets of `model`.

    Raises DynmatchError when its three-body term is a network, which no sum over triplets equals,
    or there are several types of sites.
    """
    require_one_type(model)
    pair, form = model.potential.term("pair"), model.potential.term("three_body")
    if form.hidden:
        raise DynmatchError(
            "the three-body term of this model is a network (potential.hidden: "
            f"{list(form.hidden)}), which no sum over triplets equals; train with "
            "potential.hidden: [] for one that does"
        )
    inside = Polynomial([1.0, -1.0]) ** 3
    parameters, (name,) = model.parameters, form.names
    monomial = np.asarray(form.tabulate(parameters).radial[0], np.float64)
    kernel = np.asarray(parameters["network"][name]["params"]["Dense_0"]["kernel"], np.float64)
    channels = form.radial_channels
    couples = [(a, b) for a in range(channels) for b in range(a, channels)]
    keys = [(rank, a, b) for rank in range(form.degree + 1) for a, b in couples]
    return PairsAndTriplets(
        curve=pair.curve(0),
        form=form,
        coefficients=np.asarray(parameters["pair"][0], np.float64),
        radial=[inside * Polynomial(p) for p in monomial],
        single=kernel[:channels, 0],
        coupling=dict(zip(keys, kernel[channels:, 0].tolist(), strict=True)),
    )
