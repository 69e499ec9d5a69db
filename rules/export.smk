rule export:
    input:
        model="<results>/{system}/{model}/seed-{seed}/model.yaml",
        arrays="<results>/{system}/{model}/seed-{seed}/model.npz",
        projected="<results>/{system}/projected.h5",
        code=lambda wildcards: library("export", *modules_of(wildcards), *ENGINES.values()),
    output:
        folder=directory("<results>/{system}/{model}/seed-{seed}/export"),
    log:
        "<logs>/export/{system}-{model}-{seed}.log",
    benchmark:
        "<benchmarks>/export/{system}-{model}-{seed}.tsv"
    conda:
        "../envs/export.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, input: 1000 + round(2 * input.size_mb),
        runtime=10,
        gpu=0,
    message:
        "Writing the {wildcards.model} model of {wildcards.system}, seed {wildcards.seed}, for other engines"
    script:
        "../scripts/export.py"
