rule figure:
    input:
        unpack(figure_tables),
        verdicts="<results>/summary.csv",
        code=lambda wildcards: library("figures", FIGURES[wildcards.figure].module),
        style=os.path.relpath(HERE / "scripts/dynmatch/plotting/dynmatch.mplstyle"),
    output:
        pdf="<results>/figures/{system}_{figure}.pdf",
        png=report(
            "<results>/figures/{system}_{figure}.png",
            caption="../report/figure.rst",
            category="{system}",
            labels={"figure": "{figure}"},
        ),
    log:
        "<logs>/figures/{system}-{figure}.log",
    benchmark:
        "<benchmarks>/figures/{system}-{figure}.tsv"
    wildcard_constraints:
        figure=one_of(FIGURES),
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
        gpu=0,
    params:
        reference=lambda wildcards: CARDS[wildcards.system].label,
        truth=lambda wildcards: TRUTHS[wildcards.system],
        temperature=lookup(dpath="systems/{system}/temperature", within=config),
        lags=lookup(dpath="systems/{system}/training/lags", within=config),
        planned=lambda wildcards: {
            model: updates_of(wildcards.system, model) for model in TRAINED[wildcards.system]
        },
        cutoff=lookup(dpath="systems/{system}/potential/cutoff", within=config, default=None),
        caption=lambda wildcards: caption(
            wildcards.figure,
            config["systems"][wildcards.system],
            CARDS[wildcards.system].analysis,
            len(config["seeds"]),
        ),
    message:
        "Drawing {wildcards.figure} of {wildcards.system}"
    script:
        "../scripts/figures.py"


rule snapshot:
    input:
        reference="<results>/{system}/reference/trajectory.h5",
        projected="<results>/{system}/projected.h5",
        modelled=lambda wildcards: "<results>/{system}/"
        f"{TRAINED[wildcards.system][-1]}/seed-{config['seeds'][0]}/trajectory.h5",
        verdicts="<results>/summary.csv",
        code=library("snapshot"),
        style=os.path.relpath(HERE / "scripts/dynmatch/plotting/dynmatch.mplstyle"),
    output:
        pdf="<results>/figures/{system}_snapshot.pdf",
        png=report(
            "<results>/figures/{system}_snapshot.png",
            caption="../report/snapshot.rst",
            category="{system}",
            labels={"figure": "snapshot"},
        ),
        view=report(
            "<results>/figures/{system}_view.html",
            caption="../report/view.rst",
            category="{system}",
            labels={"figure": "view in 3D"},
        ),
    log:
        "<logs>/figures/{system}-snapshot.log",
    benchmark:
        "<benchmarks>/figures/{system}-snapshot.tsv"
    wildcard_constraints:
        system=one_of(IN_BOXES),
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
        gpu=0,
    params:
        model=lambda wildcards: TRAINED[wildcards.system][-1],
    message:
        "Drawing atoms and sites of {wildcards.system}"
    script:
        "../scripts/snapshot.py"
