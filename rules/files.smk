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
    "rdf_by_type",
    "bonded",
]


MOLECULE_OBSERVABLES = [
    "ramachandran",
    "torsion_free_energy",
    "populations",
    "torsion_correlation",
    "timescales",
    "msd",
    "diffusion",
]


def observable_files(folder, names=OBSERVABLES):
    """The tables by name, and the samples behind those that the summary compares."""
    tables = {name: f"{folder}/observables/{name}.csv" for name in names}
    return tables | {"samples": f"{folder}/observables/samples.npz"}


def of_references(file):
    return expand(f"<results>/{{system}}/reference/{file}", system=SYSTEMS)


def of_models(file):
    """In the order of `RUNS`."""
    return [f"<results>/{system}/{model}/seed-{seed}/{file}" for system, model, seed in RUNS]


def of_trained(file):
    """Of the models that were trained, without the baselines."""
    return [
        f"<results>/{system}/{model}/seed-{seed}/{file}"
        for system, model, seed in RUNS
        if model in TRAINED[system]
    ]


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
    "sites": ["rdf_by_type", "bonded"],
    "recovery": ["history", "model", "pmf"],
    "comparison": ["summary"],
    "ramachandran": ["ramachandran"],
    "torsions": ["torsion_free_energy", "populations"],
    "torsion_kinetics": ["torsion_correlation", "timescales"],
}
MOLECULE_FIGURES = ["ramachandran", "torsions", "torsion_kinetics"]
TRAINING_TABLES = {
    "history": "history.csv",
    "start": "start.csv",
    "model": "model.yaml",
}


def figure_tables(wildcards):
    """Files of every table of a figure, of the reference and of each model and seed, by table."""
    folder = f"<results>/{wildcards.system}"

    def of_runs(models):
        return [
            f"{folder}/{model}/seed-{seed}"
            for model in models
            for seed in seeds_of(config, wildcards.system, model)
        ]

    def files(table):
        if table == "summary":
            return ["<results>/summary.csv"]
        if table in TRAINING_TABLES:
            runs = of_runs(TRAINED[wildcards.system])
            return [f"{run}/{TRAINING_TABLES[table]}" for run in runs]
        sources = [f"{folder}/reference", *of_runs(MODELS[wildcards.system])]
        return [f"{source}/observables/{table}.csv" for source in sources]

    return {table: files(table) for table in FIGURE_TABLES[wildcards.figure]}


def figure_files():
    """Every figure of every system: parameters can be recovered where they are known, models
    compared where there are baselines, atoms shown where they were simulated, and only a user's
    own sites may be of several types; a molecule has figures of its own."""
    special = {
        **dict.fromkeys(FIGURE_TABLES, ANALYSED["liquid"]),
        **dict.fromkeys(MOLECULE_FIGURES, ANALYSED["molecule"]),
        "diagnostics": SYSTEMS,
        "msd": SYSTEMS,
        "snapshot": [name for name in SYSTEMS if CARDS[name].box_of_atoms],
        "sites": [name for name in SYSTEMS if CARDS[name].several_types],
        "recovery": [name for name in SYSTEMS if TRUTH[name]],
        "comparison": [name for name in SYSTEMS if MODELS[name] != TRAINED[name]],
    }
    return [
        f"<results>/figures/{system}_{figure}.{suffix}"
        for system in SYSTEMS
        for figure in [*FIGURE_TABLES, "snapshot"]
        for suffix in ("pdf", "png")
        if system in special[figure]
    ]
