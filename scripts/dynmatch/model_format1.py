"""Model files of format 1, which dynmatch 0.1 wrote: their forms as sums of terms.

There, a model of several types named the sites that it was trained on, and one of a single type did
not say what it is called.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dynmatch.dynamics.registry import equation_of
from dynmatch.model import Model
from dynmatch.potentials.registry import form_of
from dynmatch.potentials.sum import Potential
from dynmatch.sites.topology import ANY, SiteTopology
from dynmatch.storage.plain import tuples


def model_of(document: Mapping[str, Any], parameters: dict) -> Model:
    """The model of a YAML `document` and its arrays, nested by "/"."""
    form = document["potential"]
    several = "types" in document
    if not several:
        potential, topology = _liquid(form | {"names": [ANY], "cores": [form["core"]]}, ()), None
    elif "coordinates" in form:
        potential, topology = _molecule(form)
    else:
        potential, topology = _liquid(form, form["bonded"]), _topology(form)
    if "pair" in parameters:
        coefficients = np.asarray(parameters["pair"]["params"]["coefficients"])
        parameters = parameters | {"pair": np.atleast_2d(coefficients)}
    if not several:
        parameters = parameters | {
            "radial": np.asarray(parameters["radial"])[None],
            "network": {ANY: parameters["network"]},
        }
    kind = equation_of(document["dynamics"])
    names = form["names"] if several else [None]
    types = [document["types"][name] for name in names] if several else [document]
    values = {
        name: np.array([float(each[parameter.column]) for each in types])
        if parameter.of_type
        else float(document[parameter.column])
        for name, parameter in kind.parameters.items()
    }
    equation = kind.of_values(float(document["time_step_ps"]), values)
    temperature = float(document["temperature_k"])
    return Model(equation, values, potential, parameters, temperature, topology)


def _liquid(form: Mapping[str, Any], terms) -> Potential:
    names, kT = tuple(form["names"]), form["thermal_energy"]
    cores = tuples(form["cores"])
    forms = [
        form_of("pair")(names, form["cutoff"], kT, form["pair_basis"], cores),
        form_of("three_body")(
            names,
            form["three_body_cutoff"],
            kT,
            form["radial_channels"],
            form["degree"],
            tuples(form["hidden"]),
        ),
    ]
    if terms:
        kinds = [{key: term[key] for key in ("names", "parameters")} for term in terms]
        forms.append(form_of("bonded").of_record({"kinds": kinds}))
    return Potential(tuple(forms), names, kT)


def _molecule(form: Mapping[str, Any]) -> tuple[Potential, SiteTopology]:
    sites = [form["names"][number] for number in form["types"]]
    given = {key: value for key, value in form.items() if key != "types"} | {"names": sites}
    term = form_of("torsional").of_record(given)
    one = SiteTopology(tuple(sites), (0,) * len(sites), ("CG",), term.coordinates.lengths)
    return Potential((term,), tuple(form["names"]), form["thermal_energy"]), one


def _topology(form: Mapping[str, Any]) -> SiteTopology:
    names = tuple(form["names"][number] for number in form["types"])
    pairs = [term["sites"] for term in form["bonded"] if len(term["names"]) == 2]
    bonds = sorted(tuples(pair) for sites in pairs for pair in sites)
    return SiteTopology(names, tuple(range(len(names))), ("CG",) * len(names), tuple(bonds))
