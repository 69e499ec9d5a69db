"""One figure of one system, from the tables of its reference and of every model and seed."""

from dynmatch.dynamics.registry import DYNAMICS
from dynmatch.plotting.figures import render
from dynmatch.plotting.registry import FIGURES, SUMMARY
from dynmatch.plotting.tables import Results, collect
from dynmatch.summary.verdicts import verdicts
from dynmatch.workflow.log import rule_log


def main(snakemake) -> None:
    params, figure = snakemake.params, snakemake.wildcards.figure
    tables = {name: collect(name, snakemake.input[name]) for name in FIGURES[figure].tables}
    if SUMMARY in tables:
        table = tables[SUMMARY]
        tables[SUMMARY] = table[table["system"] == snakemake.wildcards.system]
    results = Results(
        tables,
        tuple(params.lags),
        params.temperature,
        params.cutoff,
        params.reference,
        params.truth,
        params.planned,
        {
            model: verdict
            for (system, model), verdict in verdicts(snakemake.input.verdicts).items()
            if system == snakemake.wildcards.system and model in DYNAMICS
        },
    )
    render(figure, results, snakemake.output.pdf, snakemake.output.png)


with rule_log(snakemake.log[0]):  # noqa: F821
    main(snakemake)  # noqa: F821
