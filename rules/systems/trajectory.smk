rule own_projection:
    input:
        topology=lookup(dpath="systems/{system}/reference/topology", within=config),
        trajectories=lookup(dpath="systems/{system}/reference/trajectories", within=config),
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
        "../../envs/openmm.yaml"
    threads: 1
    resources:
        # the sites are kept in memory, never more atoms than the files hold
        mem_mb=lambda wildcards, input: 2000 + round(4 * input.size_mb),
        runtime=240,
        gpu=0,
    params:
        temperature=lookup(dpath="systems/{system}/temperature", within=config),
        frame_spacing=lookup(dpath="systems/{system}/reference/frame_spacing", within=config),
        sites=lookup(dpath="systems/{system}/reference/sites", within=config),
        molecules=lookup(dpath="systems/{system}/reference/molecules", within=config),
        periodic=lookup(dpath="systems/{system}/reference/periodic", within=config),
        box=lookup(dpath="systems/{system}/reference/box", within=config),
        cutoff=lookup(dpath="systems/{system}/potential/cutoff", within=config),
        shell_cutoff=lookup(dpath="systems/{system}/observables/shell_cutoff", within=config),
    message:
        "Projecting the trajectories of {wildcards.system} onto sites"
    script:
        "../../scripts/own_projection.py"
