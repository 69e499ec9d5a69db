rule reference:
    input:
        code=library("reference"),
    output:
        system="<results>/{system}/reference/system.xml",
        topology="<results>/{system}/reference/topology.pdb",
        trajectory="<results>/{system}/reference/trajectory.h5",
        quality="<results>/{system}/reference/quality.csv",
    log:
        "<logs>/reference/{system}.log",
    benchmark:
        "<benchmarks>/reference/{system}.tsv"
    wildcard_constraints:
        system=one_of(SYSTEMS_OF["water"]),
    conda:
        "../../envs/openmm.yaml"
    threads: lookup(dpath="systems/{system}/reference/threads", within=config)
    resources:
        mem_mb=2000,
        runtime=720,
        gpu=lambda wildcards: int(on_gpu(config["systems"][wildcards.system])),
    params:
        temperature=lookup(dpath="systems/{system}/temperature", within=config),
        reference=lookup(dpath="systems/{system}/reference", within=config),
        # not an output: snakemake removes the outputs of a job that was killed
        checkpoint=lambda wildcards, output: str(Path(output.trajectory).with_name("checkpoint")),
    message:
        "Simulating {wildcards.system} with all its atoms"
    script:
        "../../scripts/reference.py"


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
        system=one_of(SYSTEMS_OF["water"]),
    conda:
        "../../envs/openmm.yaml"
    threads: lookup(dpath="systems/{system}/reference/threads", within=config)
    resources:
        mem_mb=lambda wildcards: reference_memory(config["systems"][wildcards.system]),
        runtime=240,
        gpu=lambda wildcards: int(on_gpu(config["systems"][wildcards.system])),
    params:
        platform=lookup(dpath="systems/{system}/reference/platform", within=config),
        replicas=lookup(dpath="systems/{system}/reference/replicas", within=config),
        length=lookup(dpath="systems/{system}/reference/length", within=config),
        frame_spacing=lookup(dpath="systems/{system}/reference/frame_spacing", within=config),
    message:
        "Projecting {wildcards.system} onto its molecules' centres of mass"
    script:
        "../../scripts/projection.py"
