rule projection:
    input:
        trajectory="<results>/{system}/reference/trajectory.h5",
        system="<results>/{system}/reference/system.xml",
        code=library("projection"),
    output:
        projected="<results>/{system}/projected.h5",
    log:
        "<logs>/projection/{system}.log",
    benchmark:
        "<benchmarks>/projection/{system}.tsv"
    wildcard_constraints:
        system=one_of(WATER_SYSTEMS),
    conda:
        "../envs/openmm.yaml"
    threads: lookup(dpath="systems/{system}/reference/threads", within=config)
    resources:
        # positions, velocities and forces of all sites in single precision
        mem_mb=lambda wildcards: 1000
        + round(
            36e-6
            * config["systems"][wildcards.system]["reference"]["molecules"]
            * config["systems"][wildcards.system]["reference"]["replicas"]
            * config["systems"][wildcards.system]["reference"]["length"]
            / config["systems"][wildcards.system]["reference"]["frame_spacing"]
        ),
        runtime=240,
        gpu=lambda wildcards: int(
            config["systems"][wildcards.system]["reference"]["platform"] in ("CUDA", "OpenCL")
        ),
    params:
        platform=lookup(dpath="systems/{system}/reference/platform", within=config),
        replicas=lookup(dpath="systems/{system}/reference/replicas", within=config),
        length=lookup(dpath="systems/{system}/reference/length", within=config),
        frame_spacing=lookup(dpath="systems/{system}/reference/frame_spacing", within=config),
    message:
        "Projecting {wildcards.system} onto its molecules' centres of mass"
    script:
        "../scripts/projection.py"
