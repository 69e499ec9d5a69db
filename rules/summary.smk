rule summary:
    input:
        reference_samples=of_references("observables/samples.npz"),
        reference_diffusion=of_references("observables/diffusion.csv"),
        samples=of_models("observables/samples.npz"),
        diffusion=of_models("observables/diffusion.csv"),
        models=of_models("model.yaml"),
        code=library("summary"),
    output:
        summary="<results>/summary.csv",
    log:
        "<logs>/summary.log",
    benchmark:
        "<benchmarks>/summary.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
        gpu=0,
    params:
        names=SYSTEMS,
        runs=RUNS,
        systems={
            name: {
                "cutoff": config["systems"][name]["potential"]["cutoff"],
                "first_lag": min(config["systems"][name]["training"]["lags"]),
            }
            for name in ANALYSED["liquid"]
        },
        timescale_lags={
            name: config["systems"][name]["observables"]["timescale_lag"]
            for name in ANALYSED["molecule"]
        },
        truth=TRUTH,
    message:
        "Comparing the models with the reference"
    script:
        "../scripts/summary.py"
