rule validation:
    input:
        model="<results>/{system}/{model}/seed-{seed}/model.yaml",
        arrays="<results>/{system}/{model}/seed-{seed}/model.npz",
        projected="<results>/{system}/projected.h5",
        code=lambda wildcards: library("validation", *modules_of(wildcards)),
    output:
        trajectory="<results>/{system}/{model}/seed-{seed}/trajectory.h5",
    log:
        "<logs>/validation/{system}-{model}-{seed}.log",
    benchmark:
        "<benchmarks>/validation/{system}-{model}-{seed}.tsv"
    conda:
        "../envs/jax.yaml"
    threads: lookup(dpath="systems/{system}/validation/threads", within=config)
    resources:
        mem_mb=validation_memory,
        runtime=240,
        gpu=GPUS,
    params:
        validation=lookup(dpath="systems/{system}/validation", within=config),
        device=config["device"],
        # not an output: snakemake removes the outputs of a job that was killed
        checkpoint=lambda wildcards, output: str(
            Path(output.trajectory).with_name("validation-checkpoint")
        ),
    message:
        "Running the {wildcards.model} model of {wildcards.system}, seed {wildcards.seed}"
    script:
        "../scripts/validation.py"
