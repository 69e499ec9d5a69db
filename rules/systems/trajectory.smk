from dynmatch.systems.trajectory.card import HOW_TO_READ


rule own_projection:
    input:
        topology=lambda wildcards: value_of(wildcards.system, "reference.topology"),
        trajectories=lambda wildcards: value_of(wildcards.system, "reference.trajectories"),
        code=library("own_projection"),
    output:
        projected="<results>/{system}/projected.h5",
    log:
        "<logs>/own_projection/{system}.log",
    benchmark:
        "<benchmarks>/own_projection/{system}.tsv"
    wildcard_constraints:
        system=one_of(OWN),
    conda:
        "../../envs/trajectory.yaml"
    threads: 1
    resources:
        # atoms are read some frames at a time, and sites are kept on disk
        mem_mb=2000,
        runtime=240,
        gpu=0,
    params:
        temperature=lookup(dpath="systems/{system}/temperature", within=config),
        frame_spacing=lookup(dpath="systems/{system}/reference/frame_spacing", within=config),
        sites=lookup(dpath="systems/{system}/reference/sites", within=config),
        # a molecule by itself has none of the keys of boxes, and needs none
        reference=lambda wildcards: {"periodic": False}
        | {
            key: value
            for key, value in config["systems"][wildcards.system]["reference"].items()
            if key in HOW_TO_READ
        },
        needs_forces=lambda wildcards: any(
            name.startswith("fm_") for name in baselines_of(config["systems"][wildcards.system])
        ),
        cutoffs=lambda wildcards: {
            f"systems.{wildcards.system}.{key}": length
            for key in ("potential.cutoff", "observables.shell_cutoff")
            for _, length in values_at(config["systems"][wildcards.system], key)
        },
    message:
        "Projecting the trajectories of {wildcards.system} onto sites"
    script:
        "../../scripts/own_projection.py"
