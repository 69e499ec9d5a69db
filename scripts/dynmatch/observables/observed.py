"""A trajectory whose observables are computed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dynmatch.sites.trajectory import SiteTrajectory


@dataclass(frozen=True)
class Observed:
    """What an observable is a function of.

    temperature  K
    settings     of the class that `registry.Analysis.settings` names: this module imports none, so
                 that a reference is not simulated again with every edit of settings
    lags         ps, which an MSD must contain
    """

    trajectory: SiteTrajectory
    temperature: float
    settings: Any
    lags: Sequence[float] = ()
    _made: dict[Callable, Any] = field(default_factory=dict, init=False, repr=False)

    def once(self, function: Callable[["Observed"], Any]) -> Any:
        """function(self), which observables share: it is computed for the first of them."""
        if function not in self._made:
            self._made[function] = function(self)
        return self._made[function]
