"""Settings of a training and of what follows, as frozen dataclasses.

Names, types and defaults are those of the config's schema (a test compares them), so that a script
in Python and a config mean the same. Units: nm, ps, amu, kJ/mol, K.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, ClassVar, Self, get_type_hints


@dataclass(frozen=True)
class Settings:
    """A section of the config."""

    @classmethod
    def of(cls, section: Mapping[str, Any]) -> Self:
        """The settings of a section of the config; what it leaves out takes its default.

        Raises TypeError for a key that there is none of.
        """
        types = get_type_hints(cls)
        return cls(**{key: _typed(types.get(key), value) for key, value in section.items()})

    def section(self) -> dict[str, Any]:
        """The section of a config that these settings are, in plain values."""
        return {each.name: _plain(getattr(self, each.name)) for each in fields(self)}


def _typed(kind: Any, value: Any) -> Any:
    if isinstance(kind, type) and is_dataclass(kind) and isinstance(value, Mapping):
        return kind.of(value)
    return tuple(value) if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Settings):
        return value.section()
    return list(value) if isinstance(value, tuple) else value


@dataclass(frozen=True)
class PotentialSettings(Settings):
    """`potential` of a liquid: a pair term and a three-body term, and bonded terms of molecules.

    `start` is the module that makes the potential to start from.
    """

    start: ClassVar[str] = "dynmatch.bottom_up.boltzmann_inversion"

    cutoff: float = 0.6
    pair_basis: int = 40
    bond_width: float = 0.015
    three_body_cutoff: float = 0.45
    radial_channels: int = 1
    degree: int = 3
    hidden: tuple[int, ...] = (16,)


@dataclass(frozen=True)
class MoleculePotentialSettings(Settings):
    """`potential` of one molecule by itself: bonded terms and a network; `start` as above."""

    start: ClassVar[str] = "dynmatch.bottom_up.torsion_inversion"

    bond_width: float = 0.02
    hidden: tuple[int, ...] = (32, 32)


@dataclass(frozen=True)
class StartSettings(Settings):
    """`training.start`, the structural start by relative entropy."""

    updates: int = 400
    replicas: int = 4
    rate: float = 0.05


@dataclass(frozen=True)
class ClassifierSettings(Settings):
    """`training.classifier`."""

    hidden: tuple[int, ...] = (32, 32)
    channels: int = 12
    steps: int = 10
    rate: float = 0.005
    penalty: float = 1.0


@dataclass(frozen=True)
class Rates(Settings):
    """`training.rates`: of Adam by group of the potential's parameters; of the dynamics, the part
    of Newton's step that an update goes."""

    pair: float = 0.0002
    radial: float = 0.0002
    network: float = 0.00003
    bonded: float = 0.0002
    dynamics: float = 0.2


@dataclass(frozen=True)
class InitialSettings(Settings):
    """`training.initial`: factors on the start values."""

    gamma_factor: float = 1.0
    mass_factor: float = 1.0
    gamma_spread: float = 1.0


@dataclass(frozen=True)
class BrownianSettings(Settings):
    """`training.bd`."""

    time_step: float = 0.005
    windows: int | None = None
    updates: int | None = None


@dataclass(frozen=True)
class LangevinSettings(Settings):
    """`training.ld`."""

    time_step: float = 0.01
    windows: int | None = None
    updates: int | None = None


@dataclass(frozen=True)
class MemorySettings(Settings):
    """`training.gle`: the generalised Langevin equation, and what its training does otherwise than
    that of the others."""

    time_step: float = 0.01
    exponentials: int = 2
    cosines: int = 2
    lags: tuple[float, ...] = (*3 * (0.02, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64), 1.28, 2.56)
    smoothing: float = 0.0
    windows: int | None = 8
    updates: int | None = 120


@dataclass(frozen=True)
class TrainingSettings(Settings):
    """`training`; `bd`, `ld` and `gle` are the sections of the equations of motion of that name."""

    lags: tuple[float, ...] = (10.0,)
    smoothing: float = 0.0
    start: StartSettings = field(default_factory=StartSettings)
    minutes: float | None = None
    updates: int = 60
    windows: int = 8
    aa_windows: int = 64
    renewal: float = 0.0
    classifier: ClassifierSettings = field(default_factory=ClassifierSettings)
    rates: Rates = field(default_factory=Rates)
    roughness: float = 0.001
    freeze: tuple[str, ...] = ()
    initial: InitialSettings = field(default_factory=InitialSettings)
    bd: BrownianSettings = field(default_factory=BrownianSettings)
    ld: LangevinSettings = field(default_factory=LangevinSettings)
    gle: MemorySettings = field(default_factory=MemorySettings)
    threads: int = 1

    def of_dynamics(self, name: str) -> "TrainingSettings":
        """The settings of a training of one dynamics, with what its own section overrides."""
        own = getattr(self, name)
        common = {each.name for each in fields(self)} & {each.name for each in fields(own)}
        given = {key: getattr(own, key) for key in common}
        return replace(self, **{key: value for key, value in given.items() if value is not None})


@dataclass(frozen=True)
class ForceMatchingRates(Settings):
    """`baselines.rates`, of Adam: the pair term's coefficients, the radial functions of the
    three-body term, its network, and coefficients of bonded terms."""

    pair: float = 0.03
    radial: float = 0.03
    network: float = 0.015
    bonded: float = 0.03


@dataclass(frozen=True)
class BaselineSettings(Settings):
    """`baselines`."""

    methods: tuple[str, ...] = ()
    dynamics: tuple[str, ...] = ("ld_thermostat", "ld_einstein", "bd_einstein")
    seeds: tuple[int, ...] = ()
    updates: int = 1000
    rates: ForceMatchingRates = field(default_factory=ForceMatchingRates)
    thermostat: float = 1.0


@dataclass(frozen=True)
class ValidationSettings(Settings):
    """`validation`."""

    replicas: int = 4
    length: float = 2000.0
    equilibration: float = 20.0
    frame_spacing: float = 0.02
    copies: int = 1
    threads: int = 1


@dataclass(frozen=True)
class ObservableSettings(Settings):
    """`observables` of a liquid."""

    structure_spacing: float = 1.0
    rdf_bin: float = 0.005
    shell_cutoff: float = 0.35
    vacf_length: float = 1.0
    msd_length: float = 1000.0
    scattering_k: tuple[float, ...] = (8.0, 16.0, 24.0)
    van_hove_lags: tuple[float, ...] = (1.0, 5.0, 20.0)


@dataclass(frozen=True)
class MoleculeObservableSettings(Settings):
    """`observables` of one molecule by itself."""

    correlation_length: float = 200.0
    timescale_lag: float = 10.0
    msd_length: float = 100.0
