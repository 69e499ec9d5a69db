# From nothing to figures: all-atom reference -> projection -> training -> validation -> observables
# -> figures. What is computed is set in config.yaml; overlay a preset with
#     snakemake --cores 2 --configfile config.yaml presets/smoke.yaml
from snakemake.utils import min_version

min_version("9.20")


report: "report/workflow.rst"


configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/files.smk"


pathvars:
    results=f"results/{config['run']}",
    logs=f"results/{config['run']}/logs",
    benchmarks=f"results/{config['run']}/benchmarks",


for kind in kinds.SYSTEMS:

    include: f"rules/systems/{kind}.smk"


include: "rules/training.smk"
include: "rules/baselines.smk"
include: "rules/validation.smk"
include: "rules/observables.smk"
include: "rules/summary.smk"
include: "rules/figures.smk"
include: "rules/export.smk"
include: "rules/record.smk"


onstart:
    check_devices()
    tell_times()


onsuccess:
    tell_verdicts()


rule all:
    default_target: True
    input:
        rules.summary.output,
        rules.record.output,
        figure_files(),
        of_trained("export"),
