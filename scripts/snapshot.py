"""A picture of one system: all atoms, the sites they are projected onto, and a model's sites."""

from dynmatch.plotting import snapshot, style, view
from dynmatch.storage.atomic import replacing
from dynmatch.summary.verdicts import OK, verdicts
from dynmatch.workflow.log import rule_log


def main(snakemake) -> None:
    given = snakemake.input
    reference, projected, modelled = map(
        snapshot.first_frame, (given.reference, given.projected, given.modelled)
    )
    model = style.MODELS[snakemake.params.model]
    panels = {
        "all atoms": snapshot.atoms(reference),
        "the same molecules as sites": snapshot.sites(projected, "0.35"),
        f"{model.label} model": snapshot.sites(modelled, model.color),
    }
    box = snapshot.box_of(reference)
    with replacing(snakemake.output.view) as path:
        path.write_text(view.page(panels, box), encoding="utf-8")
    with style.applied():
        figure = snapshot.snapshot(panels, box)
        verdict = verdicts(given.verdicts)[snakemake.wildcards.system, snakemake.params.model]
        style.warn(figure, [f"{model.label}: {verdict}"] * (verdict != OK))
        style.save(figure, snakemake.output.pdf, snakemake.output.png)


with rule_log(snakemake.log[0]):  # noqa: F821
    main(snakemake)  # noqa: F821
