rule record:
    input:
        summary="<results>/summary.csv",
        models=of_models("model.yaml"),
        figures=figure_files(),
        opening=opening_figures(),
        code=library("record"),
    output:
        verdicts="<results>/record/verdicts.txt",
        opening="<results>/record/opening.rst",
        summary=report(
            "<results>/record/summary.html",
            caption="../report/summary.rst",
            category="The run",
            labels={"page": "summary table"},
        ),
        config=report(
            "<results>/record/config.html",
            caption="../report/config.rst",
            category="The run",
            labels={"page": "config"},
        ),
        versions=report(
            "<results>/record/versions.html",
            caption="../report/versions.rst",
            category="The run",
            labels={"page": "models and versions"},
        ),
        times=report(
            "<results>/record/run_times.html",
            caption="../report/run_times.rst",
            category="The run",
            labels={"page": "run times"},
        ),
    log:
        "<logs>/record.log",
    benchmark:
        "<benchmarks>/record.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
        gpu=0,
    params:
        config=config,
        runs=RUNS,
        benchmarks=f"results/{config['run']}/benchmarks",
    message:
        "Summary table, config, versions and run times, for the report"
    script:
        "../scripts/record.py"
