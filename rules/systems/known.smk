rule known_reference:
    input:
        code=lambda wildcards: library(
            "known_reference", *(DYNAMICS[name].module for name in TRAINED[wildcards.system])
        ),
    output:
        projected="<results>/{system}/projected.h5",
    log:
        "<logs>/known_reference/{system}.log",
    benchmark:
        "<benchmarks>/known_reference/{system}.tsv"
    wildcard_constraints:
        system=one_of(SYSTEMS_OF["known"]),
    conda:
        "../../envs/jax.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards: reference_memory(config["systems"][wildcards.system]),
        runtime=60,
        gpu=0,
    params:
        temperature=lookup(dpath="systems/{system}/temperature", within=config),
        reference=lookup(dpath="systems/{system}/reference", within=config),
    message:
        "Simulating {wildcards.system}, a fluid of known parameters"
    script:
        "../../scripts/known_reference.py"
