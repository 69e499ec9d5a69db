"""One figure of one system, from the tables of its reference and of every model and seed."""

from dynmatch.plotting.figures import render
from dynmatch.plotting.recovery import parameters
from dynmatch.plotting.tables import Results, collect
from dynmatch.workflow.log import rule_log


def main(snakemake) -> None:
    params = snakemake.params
    tables = {name: collect(name, snakemake.input[name]) for name in params.tables}
    if "summary" in tables:
        table = tables["summary"]
        tables["summary"] = table[table["system"] == snakemake.wildcards.system]
    if snakemake.wildcards.figure == "recovery":
        tables["parameters"] = parameters(tables["model"], params.truth)
    results = Results(
        tables,
        tuple(params.lags),
        params.temperature,
        params.cutoff,
        params.reference,
    )
    render(snakemake.wildcards.figure, results, snakemake.output.pdf, snakemake.output.png)


with rule_log(snakemake.log[0]):  # noqa: F821
    main(snakemake)  # noqa: F821
