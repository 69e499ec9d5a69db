SIMULATED_MOLECULES = [name for name in SYSTEMS_OF["molecule"] if name not in OWN]


rule molecule_reference:
    input:
        topology=lambda wildcards: shipped(
            config["systems"][wildcards.system]["reference"]["topology"]
        ),
        code=library("molecule_reference"),
    output:
        system="<results>/{system}/reference/system.xml",
        topology="<results>/{system}/reference/topology.pdb",
        trajectory="<results>/{system}/reference/trajectory.h5",
        quality="<results>/{system}/reference/quality.csv",
    log:
        "<logs>/molecule_reference/{system}.log",
    benchmark:
        "<benchmarks>/molecule_reference/{system}.tsv"
    wildcard_constraints:
        system=one_of(SIMULATED_MOLECULES),
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
        "Simulating {wildcards.system} with all its atoms in {params.reference[solvent]}"
    script:
        "../../scripts/molecule_reference.py"


rule molecule_projection:
    input:
        trajectory="<results>/{system}/reference/trajectory.h5",
        code=library("molecule_projection"),
    output:
        projected="<results>/{system}/projected.h5",
    log:
        "<logs>/molecule_projection/{system}.log",
    benchmark:
        "<benchmarks>/molecule_projection/{system}.tsv"
    wildcard_constraints:
        system=one_of(SIMULATED_MOLECULES),
    conda:
        "../../envs/openmm.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, input: 1000 + round(input.size_mb),
        runtime=60,
        gpu=0,
    params:
        sites=lookup(dpath="systems/{system}/reference/sites", within=config),
    message:
        "Projecting {wildcards.system} onto its sites"
    script:
        "../../scripts/molecule_projection.py"


rule molecule_reference_observables:
    input:
        trajectory="<results>/{system}/projected.h5",
        code=library("observables", *ANALYSES["molecule"].modules),
    output:
        **observable_files("<results>/{system}/reference", ANALYSES["molecule"]),
    log:
        "<logs>/observables/{system}-reference.log",
    benchmark:
        "<benchmarks>/observables/{system}-reference.tsv"
    wildcard_constraints:
        system=one_of(ANALYSED["molecule"]),
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, input: 1000 + round(3 * input.size_mb),
        runtime=60,
        gpu=0,
    params:
        analysis="molecule",
        part="scoring",
        lags=[],
        temperature=lookup(dpath="systems/{system}/temperature", within=config),
        observables=lookup(dpath="systems/{system}/observables", within=config),
    message:
        "Observables of the torsions of the reference of {wildcards.system}"
    script:
        "../../scripts/observables.py"


use rule molecule_reference_observables as molecule_training_part_observables with:
    output:
        **observable_files(f"<results>/{{system}}/reference/{TRAINING_PART}", ANALYSES["molecule"]),
    log:
        "<logs>/observables/{system}-training-part.log",
    benchmark:
        "<benchmarks>/observables/{system}-training-part.tsv"
    params:
        part="training",
    message:
        "Observables of what is trained on of the reference of {wildcards.system}"


use rule molecule_reference_observables as molecule_observables with:
    input:
        trajectory="<results>/{system}/{model}/seed-{seed}/trajectory.h5",
        code=library("observables", *ANALYSES["molecule"].modules),
    output:
        **observable_files("<results>/{system}/{model}/seed-{seed}", ANALYSES["molecule"]),
    log:
        "<logs>/observables/{system}-{model}-{seed}.log",
    benchmark:
        "<benchmarks>/observables/{system}-{model}-{seed}.tsv"
    params:
        part="whole",
    message:
        "Observables of the torsions of the {wildcards.model} model of {wildcards.system}, seed {wildcards.seed}"
