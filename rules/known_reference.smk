rule known_reference:
    input:
        code=library("known_reference"),
    output:
        projected="<results>/{system}/projected.h5",
    log:
        "<logs>/known_reference/{system}.log",
    benchmark:
        "<benchmarks>/known_reference/{system}.tsv"
    wildcard_constraints:
        system=one_of(KNOWN_SYSTEMS),
    conda:
        "../envs/jax.yaml"
    threads: 1
    resources:
        # positions, velocities and forces of all sites in single precision
        mem_mb=lambda wildcards: 1000
        + round(
            36e-6
            * config["systems"][wildcards.system]["reference"]["sites"]
            * config["systems"][wildcards.system]["reference"]["replicas"]
            * config["systems"][wildcards.system]["reference"]["length"]
            / config["systems"][wildcards.system]["reference"]["frame_spacing"]
        ),
        runtime=60,
        gpu=0,
    params:
        temperature=lookup(dpath="systems/{system}/temperature", within=config),
        reference=lookup(dpath="systems/{system}/reference", within=config),
    message:
        "Simulating {wildcards.system}, a fluid of known parameters"
    script:
        "../scripts/known_reference.py"
