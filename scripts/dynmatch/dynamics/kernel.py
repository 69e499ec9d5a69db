r"""Memory kernels as sums of modes, in time and in frequency:

K(t)/m = 2 w delta(t) + sum_e c_e exp(-t/tau_e) + sum_c c_c exp(-l_c t) cos(o_c t)
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Kernel:
    """The kernel of one type of site, over its mass.

    white      w, 1/ps
    strengths  (E,) c of exponentials, 1/ps^2, and (E,) times, ps
    cosines    (C,) c of cosines, 1/ps^2, (C,) rates, 1/ps, and (C,) frequencies, rad/ps
    """

    white: float
    strengths: np.ndarray
    times: np.ndarray
    cosines: np.ndarray
    rates: np.ndarray
    frequencies: np.ndarray

    @classmethod
    def of_columns(cls, columns: Mapping) -> "Kernel":
        """Of the columns of a model file, or of one type there."""
        return cls(
            columns["white_friction_amu_per_ps"] / columns["mass_amu"],
            *(
                np.asarray(columns[name], np.float64)
                for name in (
                    "exponential_strength_per_ps2",
                    "exponential_time_ps",
                    "cosine_strength_per_ps2",
                    "cosine_rate_per_ps",
                    "cosine_frequency_rad_per_ps",
                )
            ),
        )

    def at(self, t: np.ndarray) -> np.ndarray:
        """K(t)/m without its white part, 1/ps^2, at times t (ps)."""
        t = np.asarray(t, np.float64)[:, None]
        slow = self.strengths * np.exp(-t / self.times)
        swinging = self.cosines * np.exp(-self.rates * t) * np.cos(self.frequencies * t)
        return slow.sum(1) + swinging.sum(1)

    def spectrum(self, omega: np.ndarray) -> np.ndarray:
        """int_0^inf K(t)/m cos(omega t) dt, 1/ps, at angular frequencies omega (rad/ps). At 0 it is
        the friction of slow motion, over m."""
        omega = np.asarray(omega, np.float64)[:, None]
        slow = self.strengths * self.times / (1 + (omega * self.times) ** 2)
        square = self.rates**2
        below, above = omega - self.frequencies, omega + self.frequencies
        swinging = 0.5 * self.cosines * self.rates
        swinging = swinging * (1 / (square + below**2) + 1 / (square + above**2))
        return self.white + slow.sum(1) + swinging.sum(1)
