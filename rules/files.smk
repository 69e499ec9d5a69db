# The files that one rule writes or reads in great number.


def observable_files(folder, analysis):
    """The tables by name, and the samples behind those that the summary compares."""
    tables = {name: f"{folder}/observables/{name}.csv" for name in analysis.observables}
    return tables | {"samples": f"{folder}/observables/samples.npz"}


def of_references(file):
    """Of the part of each reference that models are compared with."""
    return expand(f"<results>/{{system}}/reference/{file}", system=SYSTEMS)


def of_training_parts(file):
    """Of the part of each reference that models are trained on."""
    return expand(f"<results>/{{system}}/reference/{TRAINING_PART}/{file}", system=SYSTEMS)


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
        if table == SUMMARY:
            return ["<results>/summary.csv"]
        if table in TABLES:
            runs = of_runs(TRAINED[wildcards.system])
            return [f"{run}/{TABLES[table].file}" for run in runs]
        references = [f"{folder}/reference", f"{folder}/reference/{TRAINING_PART}"]
        sources = [*references, *of_runs(MODELS[wildcards.system])]
        return [f"{source}/observables/{table}.csv" for source in sources]

    return {table: files(table) for table in FIGURES[wildcards.figure].tables}


def features(name):
    """What some figures need of a system: parameters can be recovered where they are known, types
    told apart where sites may be of several, and memory is shown of models that have any."""
    found = {
        TRUTH: TRUTHS[name],
        TYPES: CARDS[name].several_types,
        MEMORY: any(DYNAMICS[model].memory for model in TRAINED[name]),
    }
    return {feature for feature, given in found.items() if given}


def opening_figures():
    """What the report opens with."""
    return [
        f"<results>/figures/{name}_{figure}.png"
        for name in SYSTEMS
        for figure in figures_of(ANALYSES[CARDS[name].analysis], features(name))
        if figure in OPENING
    ]


def figure_files():
    """Every figure of every system, and a picture of those whose atoms were simulated in a box."""
    figures = [
        (name, figure)
        for name in SYSTEMS
        for figure in figures_of(ANALYSES[CARDS[name].analysis], features(name))
    ]
    figures += [(name, "snapshot") for name in IN_BOXES]
    return [
        f"<results>/figures/{name}_{figure}.{suffix}"
        for name, figure in figures
        for suffix in ("pdf", "png")
    ]
