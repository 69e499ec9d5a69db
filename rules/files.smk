# The files that one rule writes or reads in great number.

OBSERVABLES = [
    "rdf",
    "adf",
    "tetrahedral",
    "msd",
    "diffusion",
    "vacf",
    "van_hove",
    "scattering",
    "survival",
    "pmf",
    "free_energy_q",
    "free_energy_r_theta",
]


def observable_files(folder):
    """The tables by name, and the samples behind those that the summary compares."""
    tables = {name: f"{folder}/observables/{name}.csv" for name in OBSERVABLES}
    return tables | {"samples": f"{folder}/observables/samples.npz"}


def of_references(file):
    return expand(f"<results>/{{system}}/reference/{file}", system=SYSTEMS)


def of_models(file):
    """In the order of `TRAININGS`."""
    return [f"<results>/{system}/{model}/seed-{seed}/{file}" for system, model, seed in TRAININGS]


FIGURE_TABLES = {
    "overview": [
        "rdf",
        "adf",
        "msd",
        "scattering",
        "free_energy_r_theta",
        "history",
    ],
    "diagnostics": ["history", "start", "model"],
    "rdf": ["rdf"],
    "adf": ["adf"],
    "tetrahedral": ["tetrahedral"],
    "msd": ["msd", "diffusion"],
    "autocorrelations": ["vacf", "scattering", "survival"],
    "van_hove": ["van_hove"],
    "free_energy": ["pmf", "free_energy_q", "free_energy_r_theta"],
    "recovery": ["history", "model", "pmf"],
}
TRAINING_TABLES = {
    "history": "history.csv",
    "start": "start.csv",
    "model": "model.yaml",
}


def figure_tables(wildcards):
    """Files of every table of a figure, of the reference and of each model and seed, by table."""
    folder = f"<results>/{wildcards.system}"
    runs = expand(
        f"{folder}/{{model}}/seed-{{seed}}",
        model=MODELS[wildcards.system],
        seed=config["seeds"],
    )
    return {
        table: (
            [f"{run}/{TRAINING_TABLES[table]}" for run in runs]
            if table in TRAINING_TABLES
            else [f"{source}/observables/{table}.csv" for source in [f"{folder}/reference", *runs]]
        )
        for table in FIGURE_TABLES[wildcards.figure]
    }


def figure_files():
    """Every figure of every system: parameters can be recovered where they are known."""
    return [
        f"<results>/figures/{system}_{figure}.{suffix}"
        for system in SYSTEMS
        for figure in FIGURE_TABLES
        for suffix in ("pdf", "png")
        if figure != "recovery" or system in KNOWN_SYSTEMS
    ]
