"""A box of any composition and density for LAMMPS: templates of molecules, and a script that fills
the box.

    molecule_*.txt   one molecule, for `molecule`
    in.fill          makes filled.data, which in.lammps reads with -var data filled.data

Molecules are put anywhere, pushed apart by a soft repulsion that grows, and relaxed in the model's
own potential, whose tables end where the soft repulsion has left nobody.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from dynmatch.export.lammps_script import (
    ANGSTROM,
    BONDED,
    TABLES,
    bonded_commands,
    bonded_kinds,
    pair_words,
    site_masses,
)
from dynmatch.export.triplets import PairsAndTriplets
from dynmatch.model import Model
from dynmatch.potentials.base import type_pairs
from dynmatch.sites.box import volume
from dynmatch.sites.projection import generations, put_next_to
from dynmatch.sites.topology import SiteTopology
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.units import AMU_PER_NM3

SOFT = 20.0
"""Of the soft repulsion at its end, kcal/mol: two sites at 0.8 of a core then have 6 kB T."""
HEADINGS = {2: "Bonds", 3: "Angles", 4: "Dihedrals"}

FILL = """\
# {name}: a box of molecules for in.lammps, of any composition and density.
#     lmp -in in.fill {example}
#     lmp -in in.lammps -var data filled.data
# LAMMPS units real. Without other values: as many molecules, at the density, of the reference.
variable seed index 4711
{numbers}# mass density of the atoms that the sites stand for, g/cm^3
variable density index {density:.6g}
variable edge equal (({mass})*{cubic_angstrom:.9g}/v_density)^(1/3)

units real
atom_style {style}
newton on
{styles}region box block 0 ${{edge}} 0 ${{edge}} 0 ${{edge}}
create_box {types} box{room}
{masses}{special}
{molecules}{created}
neighbor 2.0 bin
comm_modify cutoff {ghosts:.6g}
pair_style soft {reach:.6g}
{soft}{coefficients}variable push equal ramp(0.0,{push:.6g})
fix push all adapt 1 pair soft a * * v_push
velocity all create {temperature:.9g} ${{seed}} dist gaussian
fix move all nve/limit 0.1
fix bath all langevin {temperature:.9g} {temperature:.9g} 100.0 ${{seed}}
thermo 1000
timestep 1.0
run {steps}
unfix push
unfix bath
unfix move
{tables}
minimize 1.0e-4 1.0e-6 200 2000
write_data filled.data nocoeff
"""
STEPS = 5000


@dataclass(frozen=True, eq=False)
class Species:
    """A kind of molecule.

    name      what it is called in files: letters, digits and _
    topology  of one of them
    sites     (M, n) of all of them in the reference
    mass      of what one of them stands for, amu
    """

    name: str
    topology: SiteTopology
    sites: np.ndarray
    mass: float


def species_of(start: SiteTrajectory) -> list[Species]:
    """Kinds of molecules: of the same sites, in order, and the same bonds between them. They are
    called as their residues; numbers tell several of one name apart."""
    found: dict[tuple, list[np.ndarray]] = {}
    for sites in start.topology.molecules:
        own = start.topology.chosen(sites.tolist())
        found.setdefault((own.residue_names, own.names, own.bonds), []).append(sites)
    made: list[Species] = []
    for (residues, _, _), members in found.items():
        name = re.sub(r"\W", "_", "_".join(dict.fromkeys(residues)))
        taken = {each.name for each in made}
        if name in taken:
            name = next(
                f"{name}_{k}" for k in range(2, len(found) + 2) if f"{name}_{k}" not in taken
            )
        topology = start.topology.chosen(members[0].tolist())
        mass = float(start.masses[members[0]].sum())
        made.append(Species(name, topology, np.array(members), mass))
    return made


def files(
    model: Model, start: SiteTrajectory, name: str, written: PairsAndTriplets
) -> dict[str, str]:
    """Texts by the name of their file; `start` has the composition and density of the reference."""
    species = species_of(start)
    texts = {f"molecule_{each.name}.txt": template(model, start, each) for each in species}
    return texts | {"in.fill": fill_script(model, start, name, species, written)}


def template(model: Model, start: SiteTrajectory, species: Species) -> str:
    """The first molecule of its kind in the last frame of `start`, whole."""
    topology, box = species.topology, np.asarray(start.box)
    x = start.positions[-1, species.sites[0]].astype(float)
    order = generations([np.arange(topology.n_sites)], topology.bonds)
    x = ANGSTROM * put_next_to(x[None], order, box)[0]
    x -= x.mean(0)
    types = topology.types_among(model.potential.names) + 1
    counts, sections = [f"{topology.n_sites} atoms"], []
    for length, kinds in bonded_kinds(model).items():
        rows = [
            f"{kind} {' '.join(str(site + 1) for site in sites)}"
            for kind, term in enumerate(kinds, 1)
            for sites in topology.bonded_kinds.get(term.names, np.empty((0, length), int)).tolist()
        ]
        if rows:
            counts.append(f"{len(rows)} {BONDED[length]}s")
            sections += [HEADINGS[length], "", *_numbered(rows), ""]
    return "\n".join(
        [
            f"# {species.name}",
            "",
            *counts,
            "",
            "Coords",
            "",
            *_numbered(f"{a:.6f} {b:.6f} {c:.6f}" for a, b, c in x),
            "",
            "Types",
            "",
            *_numbered(map(str, types)),
            "",
            *sections,
        ]
    )


def fill_script(
    model: Model,
    start: SiteTrajectory,
    name: str,
    species: Sequence[Species],
    written: PairsAndTriplets,
) -> str:
    """The text of in.fill."""
    names, cores = model.potential.names, written.pair_form.cores
    molecular = any(bonded_kinds(model).values())
    styles, coefficients = bonded_commands(model)
    total = sum(each.mass * len(each.sites) for each in species)
    pairs = [
        f"pair_coeff {a + 1} {b + 1} 0.0 {ANGSTROM * core:.6g}\n"
        for (a, b), core in zip(type_pairs(len(names)), cores, strict=True)
    ]
    return FILL.format(
        name=name,
        example=" ".join(f"-var n_{each.name} {10 * len(each.sites)}" for each in species),
        numbers="".join(f"variable n_{each.name} index {len(each.sites)}\n" for each in species),
        density=total * AMU_PER_NM3 / volume(start.box),
        mass="+".join(f"v_n_{each.name}*{each.mass:.9g}" for each in species),
        cubic_angstrom=1000 * AMU_PER_NM3,
        style="molecular" if molecular else "atomic",
        styles=styles,
        types=len(names),
        room=_room(model, species),
        masses="".join(f"mass {k} {mass:.9g}\n" for k, mass in enumerate(site_masses(model), 1)),
        special="special_bonds lj 0 0 0\n" if molecular else "",
        molecules="".join(f"molecule {each.name} molecule_{each.name}.txt\n" for each in species),
        created="".join(
            f'if "${{n_{each.name}}} > 0" then &\n  "create_atoms 0 random ${{n_{each.name}}} '
            f'{seed} NULL mol {each.name} {seed + 1}"\n'
            for seed, each in zip(range(1001, 10**6, 2), species, strict=False)
        ),
        reach=ANGSTROM * max(cores),
        # bonded terms need neighbours that the soft repulsion does not see
        ghosts=ANGSTROM * model.potential.reach + 2.0,
        soft="".join(pairs),
        coefficients=coefficients,
        push=SOFT,
        temperature=model.temperature,
        steps=STEPS,
        tables=TABLES.format(**pair_words(model)),
    )


def _room(model: Model, species: Sequence[Species]) -> str:
    """Words of `create_box` for as many bonds, angles and dihedrals as a site may have."""
    words = ""
    for length, kinds in bonded_kinds(model).items():
        if kinds:
            most = max(
                np.bincount(np.concatenate([sites.ravel(), [0]])).max()
                for each in species
                for sites in each.topology.bonded_kinds.values() or [np.zeros((1, length), int)]
            )
            word = BONDED[length]
            words += f" {word}/types {len(kinds)} extra/{word}/per/atom {3 * most}"
    if words:
        most = max(len(each.topology.excluded) for each in species)
        words += f" extra/special/per/atom {most + 1}"
    return words


def _numbered(lines: Iterable[str]) -> list[str]:
    return [f"{number} {line}" for number, line in enumerate(lines, 1)]
