rule training:
    input:
        projected="<results>/{system}/projected.h5",
        code=lambda wildcards: library(
            "training", *modules_of(wildcards), *training_modules(wildcards.system)
        ),
    output:
        model="<results>/{system}/{model}/seed-{seed}/model.yaml",
        arrays="<results>/{system}/{model}/seed-{seed}/model.npz",
        history="<results>/{system}/{model}/seed-{seed}/history.csv",
        start="<results>/{system}/{model}/seed-{seed}/start.csv",
    log:
        "<logs>/training/{system}-{model}-{seed}.log",
    benchmark:
        "<benchmarks>/training/{system}-{model}-{seed}.tsv"
    wildcard_constraints:
        model=one_of(DYNAMICS),
    conda:
        "../envs/jax.yaml"
    threads: lookup(dpath="systems/{system}/training/threads", within=config)
    resources:
        # the positions of all sites, a third of the file or more, beside JAX
        mem_mb=lambda wildcards, input: 2000 + round(input.size_mb),
        runtime=lambda wildcards: 30
        + round(2 * (config["systems"][wildcards.system]["training"]["minutes"] or 120)),
        gpu=GPUS,
    params:
        temperature=lookup(dpath="systems/{system}/temperature", within=config),
        potential=lookup(dpath="systems/{system}/potential", within=config),
        potential_settings=lambda wildcards: CARDS[wildcards.system].potential,
        training=lambda wildcards: reads.of_model(
            config["systems"][wildcards.system]["training"], wildcards.model
        ),
        mapping=lambda wildcards: CARDS[wildcards.system].mapping(
            config["systems"][wildcards.system]
        ),
        device=config["device"],
        # not an output: snakemake removes the outputs of a job that was killed
        checkpoint=lambda wildcards, output: str(Path(output.model).with_name("checkpoint")),
    message:
        "Training the {wildcards.model} model of {wildcards.system}, seed {wildcards.seed}"
    script:
        "../scripts/training.py"
