BASELINE_METHODS = choices("baselines", "methods")
BASELINE_DYNAMICS = choices("baselines", "dynamics")
BASELINE_MODULES = sorted(
    {
        DYNAMICS[dynamics_of(f"{method}_{dynamics}")].module
        for method in BASELINE_METHODS
        for dynamics in BASELINE_DYNAMICS
    }
)


rule baseline:
    input:
        projected="<results>/{system}/projected.h5",
        code=lambda wildcards: library(
            "baseline",
            *(TERMS[term] for term in CARDS[wildcards.system].terms),
            *training_modules(wildcards.system),
            *BASELINE_MODULES,
        ),
    output:
        **{
            dynamics: f"<results>/{{system}}/{{method}}_{dynamics}/seed-{{seed}}/model.yaml"
            for dynamics in BASELINE_DYNAMICS
        },
        arrays=[
            f"<results>/{{system}}/{{method}}_{dynamics}/seed-{{seed}}/model.npz"
            for dynamics in BASELINE_DYNAMICS
        ],
        history="<results>/{system}/{method}/seed-{seed}/history.csv",
    log:
        "<logs>/baseline/{system}-{method}-{seed}.log",
    benchmark:
        "<benchmarks>/baseline/{system}-{method}-{seed}.tsv"
    wildcard_constraints:
        method=one_of(BASELINE_METHODS),
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
        training=lambda wildcards: reads.of_baseline(
            config["systems"][wildcards.system]["training"], wildcards.method
        ),
        baselines=lambda wildcards: reads.of_fitting(
            config["systems"][wildcards.system]["baselines"], wildcards.method
        ),
        dynamics=BASELINE_DYNAMICS,
        device=config["device"],
        # not an output: snakemake removes the outputs of a job that was killed
        checkpoint=lambda wildcards, output: str(Path(output.history).with_name("checkpoint")),
    message:
        "Fitting the {wildcards.method} potential of {wildcards.system}, seed {wildcards.seed}"
    script:
        "../scripts/baseline.py"
