rule summary:
    input:
        reference_samples=of_references("observables/samples.npz"),
        reference_diffusion=of_references("observables/diffusion.csv"),
        training_samples=of_training_parts("observables/samples.npz"),
        training_diffusion=of_training_parts("observables/diffusion.csv"),
        samples=of_models("observables/samples.npz"),
        diffusion=of_models("observables/diffusion.csv"),
        models=of_models("model.yaml"),
        code=library("summary", *comparing_modules()),
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
        analyses={name: CARDS[name].analysis for name in SYSTEMS},
        settings={name: compared_by(name) for name in SYSTEMS},
        truth=TRUTHS,
    message:
        "Comparing the models with the reference"
    script:
        "../scripts/summary.py"
