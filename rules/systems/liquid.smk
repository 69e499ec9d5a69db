rule liquid_reference:
    input:
        molecules=lambda wildcards: [
            each["file"] for each in simulated_liquid(wildcards.system)["molecules"]
        ],
        force_field=lambda wildcards: list(
            filter(os.path.exists, simulated_liquid(wildcards.system)["force_field"])
        ),
        code=library("liquid_reference"),
    output:
        system="<results>/{system}/reference/system.xml",
        topology="<results>/{system}/reference/topology.pdb",
        trajectory="<results>/{system}/reference/trajectory.h5",
        quality="<results>/{system}/reference/quality.csv",
    log:
        "<logs>/liquid_reference/{system}.log",
    benchmark:
        "<benchmarks>/liquid_reference/{system}.tsv"
    wildcard_constraints:
        system=one_of(SYSTEMS_OF["liquid"]),
    conda:
        "../../envs/openmm.yaml"
    threads: lookup(dpath="systems/{system}/reference/threads", within=config)
    resources:
        mem_mb=2000,
        runtime=720,
        gpu=lambda wildcards: int(on_gpu(config["systems"][wildcards.system])),
    params:
        temperature=lookup(dpath="systems/{system}/temperature", within=config),
        reference=lambda wildcards: simulated_liquid(wildcards.system),
        # not an output: snakemake removes the outputs of a job that was killed
        checkpoint=lambda wildcards, output: str(Path(output.trajectory).with_name("checkpoint")),
    message:
        "Simulating {wildcards.system}, a liquid, with all its atoms"
    script:
        "../../scripts/liquid_reference.py"


rule liquid_projection:
    input:
        trajectory="<results>/{system}/reference/trajectory.h5",
        system="<results>/{system}/reference/system.xml",
        code=library("liquid_projection"),
    output:
        projected="<results>/{system}/projected.h5",
    log:
        "<logs>/liquid_projection/{system}.log",
    benchmark:
        "<benchmarks>/liquid_projection/{system}.tsv"
    wildcard_constraints:
        system=one_of(SYSTEMS_OF["liquid"]),
    conda:
        "../../envs/openmm.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, input: 1000 + round(2 * input.size_mb),
        runtime=60,
        gpu=0,
    params:
        sites=lookup(dpath="systems/{system}/reference/sites", within=config),
    message:
        "Projecting {wildcards.system} onto its sites"
    script:
        "../../scripts/liquid_projection.py"
