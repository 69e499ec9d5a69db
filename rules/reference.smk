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
        system=one_of(WATER_SYSTEMS),
    conda:
        "../envs/openmm.yaml"
    threads: lookup(dpath="systems/{system}/reference/threads", within=config)
    resources:
        mem_mb=2000,
        runtime=720,
        gpu=lambda wildcards: int(
            config["systems"][wildcards.system]["reference"]["platform"] in ("CUDA", "OpenCL")
        ),
    params:
        temperature=lookup(dpath="systems/{system}/temperature", within=config),
        reference=lookup(dpath="systems/{system}/reference", within=config),
        # not an output: snakemake removes the outputs of a job that was killed
        checkpoint=lambda wildcards, output: str(Path(output.trajectory).with_name("checkpoint")),
    message:
        "Simulating {wildcards.system} with all its atoms"
    script:
        "../scripts/reference.py"
