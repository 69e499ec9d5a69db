rule own_projection:
    input:
        # functions: braces in a user's path are no wildcards
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
        system=one_of(SYSTEMS_OF["trajectory"]),
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
        reference=lambda wildcards: {
            key: value_of(wildcards.system, f"reference.{key}")
            for key in ("molecules", "periodic", "box", "edges", "bonds", "lammps_units")
        },
        needs_forces=lambda wildcards: "fm" in value_of(wildcards.system, "baselines.methods"),
        cutoff=lookup(dpath="systems/{system}/potential/cutoff", within=config),
        shell_cutoff=lookup(dpath="systems/{system}/observables/shell_cutoff", within=config),
    message:
        "Projecting the trajectories of {wildcards.system} onto sites"
    script:
        "../../scripts/own_projection.py"
