"""Trained models on disk: a YAML file to be read by people beside an archive of arrays.

Nothing in either file is executed on loading: plain YAML, and NumPy arrays without pickle. The YAML
file carries the checksum of the archive and that of its own content.
"""

import hashlib
import json
import zipfile
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import yaml
from flax.traverse_util import flatten_dict, unflatten_dict

from dynmatch.dynamics.dynamics import KINDS, Dynamics
from dynmatch.errors import DynmatchError
from dynmatch.potentials import molecular
from dynmatch.potentials import torsional as internal_potential
from dynmatch.potentials.molecular import MolecularForm
from dynmatch.potentials.potential import PotentialForm
from dynmatch.potentials.torsional import InternalForm
from dynmatch.storage.atomic import replacing
from dynmatch.storage.plain import record_of
from dynmatch.units import BOLTZMANN

FORMAT_VERSION = 1
LIBRARIES = ("jax", "jaxlib", "jax-md", "flax", "optax", "numpy")


@dataclass(frozen=True)
class Model:
    """A coarse-grained model: potential and dynamics.

    kind        "bd" or "ld"
    form        the potential's fixed part
    parameters  the potential's learned part, see `potential.initialise`
    gamma       amu/ps, of every site, or an array (T,) of each type of the form
    alpha       1
    mass        amu, the same; not used by "bd"
    temperature K
    time_step   ps
    """

    kind: str
    form: PotentialForm | MolecularForm | InternalForm
    parameters: dict
    gamma: float | np.ndarray
    alpha: float
    mass: float | np.ndarray
    temperature: float
    time_step: float

    @property
    def kT(self) -> float:
        """kJ/mol."""
        return BOLTZMANN * self.temperature

    @property
    def dynamics(self) -> Dynamics:
        return Dynamics(*(jnp.float32(x) for x in (self.gamma, self.alpha, self.mass)))

    def of_types(self) -> "dict[str, Model]":
        """The model with gamma and mass of each type alone, by its name; {} where there is one."""
        if self.form.types is None:
            return {}
        return {
            name: replace(self, gamma=float(self.gamma[number]), mass=float(self.mass[number]))
            for number, name in enumerate(self.form.names)
        }

    def of_mean_site(self) -> "Model":
        """The model with the mean of gamma and mass over all sites."""
        if self.form.types is None:
            return self
        types = np.array(self.form.types)
        return replace(
            self,
            gamma=float(np.mean(np.asarray(self.gamma, np.float64)[types])),
            mass=float(np.mean(np.asarray(self.mass, np.float64)[types])),
        )

    def identifiable(self) -> dict[str, float | None]:
        """What trajectories determine: D0 = kB T alpha/gamma (nm^2/ps), gamma/alpha (amu/ps), and
        for Langevin dynamics m/alpha^2 (amu)."""
        return {
            "d0_nm2_per_ps": self.kT * self.alpha / self.gamma,
            "gamma_over_alpha": self.gamma / self.alpha,
            "mass_over_alpha2": self.mass / self.alpha**2 if self.kind == "ld" else None,
        }


def save(path: str | Path, arrays: str | Path, model: Model, record: dict) -> None:
    """Write `model` to the YAML file `path` and the NumPy archive `arrays`, both atomically.

    `record` holds plain values about the training that are kept in the YAML file as they are.
    """
    flat = {name: np.asarray(a) for name, a in flatten_dict(model.parameters, sep="/").items()}
    with replacing(arrays) as temporary:
        np.savez(temporary, **flat)
        checksum = _sha256(temporary)
    mean = model.of_mean_site()
    types = {
        name: {
            "gamma_amu_per_ps": one.gamma,
            "mass_amu": one.mass if one.kind == "ld" else None,
            **one.identifiable(),
        }
        for name, one in model.of_types().items()
    }
    if model.form.types is None:
        potential = {**asdict(model.form), "hidden": list(model.form.hidden)}
    else:
        potential = record_of(model.form)
    document = {
        "format_version": FORMAT_VERSION,
        "dynamics": model.kind,
        **record,
        "temperature_k": model.temperature,
        "time_step_ps": model.time_step,
        "gamma_amu_per_ps": mean.gamma,
        "alpha": mean.alpha,
        "mass_amu": mean.mass if mean.kind == "ld" else None,
        **mean.identifiable(),
        **({"types": types} if types else {}),
        "potential": potential,
        "arrays": Path(arrays).name,
        "arrays_sha256": checksum,
        "dynmatch_version": version_of("dynmatch"),
        "library_versions": {name: version_of(name) for name in LIBRARIES},
    }
    document["content_sha256"] = _content_sha256(document)
    with replacing(path) as temporary:
        temporary.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def load(path: str | Path) -> Model:
    """The model of the YAML file `path` and the archive it names, which lies beside it.

    Raises DynmatchError, naming the file, when either is missing, damaged or of another format.
    """
    path = Path(path)
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        written = document.pop("content_sha256", None)
        if written is not None and written != _content_sha256(document):
            raise DynmatchError(
                f"{path}: checksum does not match, the file is damaged or was edited; train the "
                "model again, or take the line content_sha256 out if the change is meant"
            )
        arrays = path.with_name(Path(document["arrays"]).name)
        if document["format_version"] != FORMAT_VERSION:
            raise DynmatchError(
                f"{path}: model format {document['format_version']}, and this version of dynmatch "
                f"reads format {FORMAT_VERSION}"
            )
        if document["dynamics"] not in KINDS:
            raise DynmatchError(f"{path}: dynamics must be bd or ld, not {document['dynamics']!r}")
        if _sha256(arrays) != document["arrays_sha256"]:
            raise DynmatchError(f"{arrays}: checksum does not match {path}; train the model again")
        with np.load(arrays, allow_pickle=False) as archive:
            parameters = unflatten_dict({n: jnp.asarray(archive[n]) for n in archive}, sep="/")
        form = document["potential"]
        if "types" in document:
            kind = internal_potential if "coordinates" in form else molecular
            form = kind.form_of(form)
            values = [document["types"][name] for name in form.names]
        else:
            form = PotentialForm(**{**form, "hidden": tuple(form["hidden"])})
            values = document
        return Model(
            kind=document["dynamics"],
            form=form,
            parameters=parameters,
            gamma=_read(values, "gamma_amu_per_ps"),
            alpha=float(document["alpha"]),
            mass=_read(values, "mass_amu"),
            temperature=float(document["temperature_k"]),
            time_step=float(document["time_step_ps"]),
        )
    except (
        OSError,
        yaml.YAMLError,
        zipfile.BadZipFile,
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:
        raise DynmatchError(f"{path}: not a readable model: {error}") from error


def _read(values: dict | list[dict], key: str) -> float | np.ndarray:
    """A number, or an array over types; 1 where a Brownian model has none."""
    if isinstance(values, list):
        return np.array([_read(each, key) for each in values])
    return 1.0 if values[key] is None else float(values[key])


def version_of(package: str) -> str:
    """Installed version of a distribution; "source" when it runs from its source tree."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "source"


def _content_sha256(document: dict) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
