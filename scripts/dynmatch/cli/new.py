"""`dynmatch new`: a config to start from, for files of one's own."""

import argparse
import os
from pathlib import Path
from typing import Any

import yaml

from dynmatch.errors import DynmatchError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topology", help="TPR, TOP, PRMTOP, PSF, LAMMPS data, PDB, GRO, ...")
    parser.add_argument(
        "trajectories",
        nargs="+",
        help="XTC, TRR, DCD, NetCDF, LAMMPS dump, ...; each a run, or the next part of one",
    )
    parser.add_argument("--temperature", type=float, required=True, help="K")
    parser.add_argument("--frame-spacing", type=float, help="ps; default: by the file's times")
    parser.add_argument(
        "--mapping",
        type=Path,
        help="of molecules on sites: VOTCA's XML, PyCGTOOL's .map, or YAML with molecules or sites",
    )
    parser.add_argument("--more-topology", nargs="*", default=[], help="files with bonds, masses")
    parser.add_argument("--bonds", choices=["file", "guess"], default="file", help="default: file")
    parser.add_argument("--edges", type=float, nargs=3, default=[], help="of the box, nm, for XYZ")
    parser.add_argument("--box", choices=["mean", "scale"], default="mean", help="default: mean")
    parser.add_argument("--no-box", action="store_true", help="a system that is not periodic")
    parser.add_argument("--lammps-units", choices=["real", "metal"], default="real")
    parser.add_argument("--name", default="mine", help="of the system and the run; default: mine")
    parser.add_argument("--output", type=Path, help="config to write; default: NAME.yaml")


def run(arguments: argparse.Namespace) -> None:
    from dynmatch.cli.check import estimates
    from dynmatch.systems.trajectory import proposal
    from dynmatch.systems.trajectory.atoms import read_atoms
    from dynmatch.systems.trajectory.survey import described, survey
    from dynmatch.workflow.config import complete

    output = arguments.output or Path(f"{arguments.name}.yaml")
    if output.exists():
        raise DynmatchError(f"{output}: is there already; give another --output")
    topologies = [arguments.topology, *arguments.more_topology]
    atoms = read_atoms([os.path.expanduser(each) for each in topologies], "TOPOLOGY")
    reference = _reference(arguments, atoms)
    section = {
        "kind": "trajectory",
        "temperature": arguments.temperature,
        "reference": reference,
    }
    config = {
        "run": arguments.name,
        "only": [arguments.name],
        "models": ["bd", "ld", "gle"],
        "systems": {arguments.name: section},
    }
    # no file has been looked at yet, for any other model
    found_reference = complete({**config, "models": ["ld"]})["systems"][arguments.name]["reference"]
    found = survey(found_reference, arguments.temperature, atoms=atoms)
    for line in described(found):
        print(line)
    config["systems"][arguments.name] = section | proposal.values(found)
    why = ""
    try:
        system = complete(config)["systems"][arguments.name]
    except DynmatchError as error:
        # frames too far apart for a memory, or runs too short for its windows
        config["models"] = ["bd", "ld"]
        why = str(error).splitlines()[0].partition(f"{arguments.name}.")[2]
        system = _of_short_runs(config, arguments.name, min(found.runs))
    output.write_text(_text(config, arguments.name, why), encoding="utf-8")
    print(*estimates(found, system, config["models"]), sep="\n")
    command = f".venv/bin/snakemake --cores 2 --configfile config.yaml {output}"
    print(f"\n{output} is written. Then:\n  {command}")


def _reference(arguments: argparse.Namespace, atoms) -> dict[str, Any]:
    from dynmatch.systems.paths import expanded
    from dynmatch.systems.trajectory.mappings import YAML, read_mapping
    from dynmatch.systems.trajectory.survey import spacing_in

    topologies = [arguments.topology, *arguments.more_topology]
    spacing = arguments.frame_spacing
    if spacing is None:
        path = expanded(arguments.trajectories[0])[0]
        spacing = spacing_in(path, atoms)
        if spacing is None:
            raise DynmatchError(f"{path}: has no times; give --frame-spacing, ps")
    reference: dict[str, Any] = {
        "topology": topologies[0] if len(topologies) == 1 else topologies,
        "trajectories": arguments.trajectories,
        "frame_spacing": spacing,
    }
    others = {
        "bonds": (arguments.bonds, "file"),
        "edges": (list(arguments.edges), []),
        "box": (arguments.box, "mean"),
        "periodic": (not arguments.no_box, True),
        "lammps_units": (arguments.lammps_units, "real"),
    }
    reference |= {key: value for key, (value, default) in others.items() if value != default}
    if arguments.mapping:
        reference |= read_mapping(arguments.mapping)
        converted = arguments.mapping.suffix.lower() not in YAML
        if converted and not atoms.bonds and arguments.bonds == "file":
            # a mapping names all atoms of a molecule
            for molecule in reference["molecules"]:
                molecule["size"] = len({atom for s in molecule["sites"] for atom in s["atoms"]})
    return reference


def _of_short_runs(config: dict, name: str, length: float) -> dict:
    from dynmatch.workflow.config import complete

    try:
        return complete(config)["systems"][name]
    except DynmatchError as error:
        first = str(error).splitlines()[0].removeprefix(f"config: systems.{name}.")
        raise DynmatchError(
            f"runs of {length:g} ps are too short or their frames too far apart for a training: "
            f"{first}"
        ) from error


COMMENTS = {
    "run": "results go to results/{name}",
    "models": "Brownian, Langevin, Langevin with memory",
    "temperature": "K",
    "topology": "names, bonds, masses; a list of files where one does not have all",
    "trajectories": "each a run of its own, unless it continues the one before",
    "frame_spacing": "ps",
    "molecules": "one molecule of each kind, repeated over all",
    "cutoff": "nm, at a minimum of g(r); at most half the box",
    "three_body_cutoff": "nm, the first shell and some more",
    "hidden": "no network: three-body terms that LAMMPS takes; [16] is a network",
    "lags": "ps, in which a site moves its own size",
    "smoothing": "ps, over which positions are averaged",
    "time_step": "ps",
    "updates": "of the model; more where the status says that it is not converged",
    "windows": "of the model, an update",
    "length": "ps, of each replica",
    "equilibration": "ps",
    "structure_spacing": "ps",
    "shell_cutoff": "nm, first minimum of g(r)",
    "vacf_length": "ps",
    "msd_length": "ps",
    "scattering_k": "1/nm",
    "van_hove_lags": "ps",
}


def _text(config: dict, name: str, why: str) -> str:
    lines = [
        "# Written by `dynmatch new`: numbers that follow from the files; change what you know",
        "# better. All keys, their meaning and limits: schemas/systems/trajectory.yaml",
    ]
    if why:
        lines.append(f"# No model with memory (gle): {why}")
    for line in yaml.safe_dump(config, sort_keys=False, default_flow_style=None).splitlines():
        key = line.strip().partition(":")[0]
        told = COMMENTS.get(key)
        lines.append(f"{line} # {told.format(name=name)}" if told else line)
    return "\n".join(lines) + "\n"
