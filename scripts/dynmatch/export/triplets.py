r"""A potential with a linear three-body term, written out as sums over pairs and triplets.

Where E is linear in the invariants (`potential.hidden: []`), with weights v_c of the m_c^(0) and
w_lpq of the contractions m_p^(l).m_q^(l), p <= q, of a site i of type a, the potential of
`dynmatch.potentials` is exactly

    U = sum_{i<j} u_ab(r_ij) + sum_i sum_{j<k} w_abc(r_ij, r_ik, r_jk)      b, c the types of j, k

    w_abc = kB T sum_{l, p<=q} w_lpq (h_p(s_ij) h_q(s_ik) + h_q(s_ij) h_p(s_ik)) t^l
    t = (s_ij + s_ik - s_jk)/2 = d_ij.d_ik,      s = (r / three_body_cutoff)^2

where h_p(s_ij) is 0 unless channel p is one of the type of j. The terms j = k of the contractions
and the m_c^(0) depend on one distance only. They occur at both ends of a pair and belong to u:

    u_ab = u_pair + own_a(b) + own_b(a),
    own_a(b) = kB T (sum_c v_c h_c(s) + sum_{l, p<=q} w_lpq h_p(s) h_q(s) s^l), channels of b only

Everything here is NumPy in double precision.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import Polynomial

from dynmatch.errors import DynmatchError
from dynmatch.model import Model
from dynmatch.potentials import pair, three_body
from dynmatch.potentials.base import type_pairs


@dataclass(frozen=True)
class Centre:
    """What the sites of one type add, as centres.

    radial   h_c(s), one polynomial in s for every channel, valid for s < 1
    single   (channels,) v_c
    coupling {(l, p, q): w_lpq}, p <= q
    """

    radial: Sequence[Polynomial]
    single: np.ndarray
    coupling: Mapping[tuple[int, int, int], float]


@dataclass(frozen=True)
class PairsAndTriplets:
    """What is needed to write U out.

    pair_form    fixed part of the pair term
    form         that of the three-body term
    coefficients (P, basis) of the pair splines, kB T
    centres      (T,) by type of centre
    """

    pair_form: pair.Form
    form: three_body.Form
    coefficients: np.ndarray
    centres: Sequence[Centre]

    @property
    def names(self) -> tuple[str, ...]:
        return self.form.names

    @property
    def shortest(self) -> float:
        """nm: half the least radius of the cores, where u is thousands of kB T."""
        return 0.5 * min(self.pair_form.cores)

    def pair(
        self, r: np.ndarray, derivative: int = 0, types: tuple[int, int] = (0, 0)
    ) -> np.ndarray:
        """u(r), kJ/mol, or its first derivative, kJ/mol/nm, at distances r (nm)."""
        a, b = types
        number = type_pairs(len(self.names)).index((min(a, b), max(a, b)))
        curve = self.pair_form.curve(number)
        spline = curve.design(r, derivative) @ self.coefficients[number]
        own = self._own(a, b) + self._own(b, a)
        s = (r / self.form.cutoff) ** 2
        ends = own.deriv()(s) * 2 * r / self.form.cutoff**2 if derivative else own(s)
        of_triplets = np.where(s < 1, ends, 0.0)
        return self.form.thermal_energy * (curve.core_energy(r, derivative) + spline + of_triplets)

    def _own(self, a: int, b: int) -> Polynomial:
        """What a centre of type a has of one neighbour of type b alone, kB T, in s."""
        centre, own = self.centres[a], Polynomial([0.0])
        for c in self.channels(b):
            own = own + centre.single[c] * centre.radial[c]
        for (rank, p, q), w in centre.coupling.items():
            if {p, q} <= set(self.channels(b)):
                own = own + w * centre.radial[p] * centre.radial[q] * Polynomial([0, 1.0]) ** rank
        return own

    def channels(self, b: int) -> range:
        """Of neighbours of type b."""
        count = self.form.radial_channels
        return range(b * count, (b + 1) * count)

    def triplet(
        self,
        r_ij: np.ndarray,
        r_ik: np.ndarray,
        r_jk: np.ndarray,
        types: tuple[int, int, int] = (0, 0, 0),
    ) -> np.ndarray:
        """w, kJ/mol, of a centre i with neighbours j and k, of these types; arrays that broadcast,
        nm."""
        a, b, c = types
        centre = self.centres[a]
        first, second, third = ((r / self.form.cutoff) ** 2 for r in (r_ij, r_ik, r_jk))
        h, g = (
            {n: np.where(s < 1, centre.radial[n](s), 0.0) for n in self.channels(kind)}
            for s, kind in ((first, b), (second, c))
        )
        t = (first + second - third) / 2
        total = np.zeros(np.broadcast_shapes(first.shape, second.shape, third.shape))
        for (rank, p, q), w in centre.coupling.items():
            for one, other in ((p, q), (q, p)):
                if one in h and other in g:
                    total = total + w * h[one] * g[other] * t**rank
        return self.form.thermal_energy * total


def require_written(model: Model) -> None:
    """Raise DynmatchError where `model` has terms of the potential that are not written, by their
    names."""
    kinds = {term.kind for term in model.potential.terms}
    others = ", ".join(sorted(kinds - {"pair", "three_body", "bonded"}))
    if others or not {"pair", "three_body"} <= kinds:
        raise DynmatchError(
            f"a potential of the terms {', '.join(sorted(kinds))} is not written for LAMMPS, only "
            "pair and three_body together, and bonded beside them; run it with the script in "
            "openmm/, ASE or Python (docs/api.md)"
        )


def write_out(model: Model) -> PairsAndTriplets:
    """The pairs and triplets of `model`; bonded terms are beside them.

    Raises DynmatchError when its three-body term is a network, which no sum over triplets equals,
    or there are other terms.
    """
    require_written(model)
    pair_form, form = model.potential.term("pair"), model.potential.term("three_body")
    if form.hidden:
        raise DynmatchError(
            "the three-body term of this model is a network (potential.hidden: "
            f"{list(form.hidden)}), which no sum over triplets equals; train with "
            "potential.hidden: [] for one that does"
        )
    inside = Polynomial([1.0, -1.0]) ** 3
    parameters = model.parameters
    monomials = np.asarray(form.tabulate(parameters).radial, np.float64)
    couples = [(p, q) for p in range(form.channels) for q in range(p, form.channels)]
    keys = [(rank, p, q) for rank in range(form.degree + 1) for p, q in couples]
    centres = []
    for name, monomial in zip(form.names, monomials, strict=True):
        layer = parameters["network"][name]["params"]["Dense_0"]
        kernel = np.asarray(layer["kernel"], np.float64)[:, 0]
        centres.append(
            Centre(
                radial=[inside * Polynomial(p) for p in monomial],
                single=kernel[: form.channels],
                coupling=dict(zip(keys, kernel[form.channels :].tolist(), strict=True)),
            )
        )
    coefficients = np.asarray(parameters["pair"], np.float64)
    return PairsAndTriplets(pair_form, form, coefficients, centres)
