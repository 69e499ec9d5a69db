rule reference_observables:
    input:
        trajectory="<results>/{system}/projected.h5",
        code=library("observables", *ANALYSES["liquid"].modules),
    output:
        **observable_files("<results>/{system}/reference", ANALYSES["liquid"]),
    log:
        "<logs>/observables/{system}-reference.log",
    benchmark:
        "<benchmarks>/observables/{system}-reference.tsv"
    wildcard_constraints:
        system=one_of(ANALYSED["liquid"]),
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, input: 1000 + round(3 * input.size_mb),
        runtime=240,
        gpu=0,
    params:
        analysis="liquid",
        part="scoring",
        temperature=lookup(dpath="systems/{system}/temperature", within=config),
        lags=lookup(dpath="systems/{system}/training/lags", within=config),
        observables=lookup(dpath="systems/{system}/observables", within=config),
    message:
        "Observables of the reference of {wildcards.system}"
    script:
        "../scripts/observables.py"


use rule reference_observables as training_part_observables with:
    output:
        **observable_files(f"<results>/{{system}}/reference/{TRAINING_PART}", ANALYSES["liquid"]),
    log:
        "<logs>/observables/{system}-training-part.log",
    benchmark:
        "<benchmarks>/observables/{system}-training-part.tsv"
    params:
        part="training",
    message:
        "Observables of what is trained on of the reference of {wildcards.system}"


use rule reference_observables as observables with:
    input:
        trajectory="<results>/{system}/{model}/seed-{seed}/trajectory.h5",
        code=library("observables", *ANALYSES["liquid"].modules),
    output:
        **observable_files("<results>/{system}/{model}/seed-{seed}", ANALYSES["liquid"]),
    log:
        "<logs>/observables/{system}-{model}-{seed}.log",
    benchmark:
        "<benchmarks>/observables/{system}-{model}-{seed}.tsv"
    params:
        part="whole",
    message:
        "Observables of the {wildcards.model} model of {wildcards.system}, seed {wildcards.seed}"
