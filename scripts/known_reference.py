"""Rule known_reference: a fluid whose potential and dynamics are known, in place of water."""

from dynmatch.runtime.jax_setup import configure
from dynmatch.workflow.log import rule_log


def main(snakemake) -> None:
    configure("cpu", snakemake.threads)
    # imported here: JAX reads its settings when it is imported
    from dynmatch.sites.trajectory import write
    from dynmatch.systems.synthetic.fluid import KnownReference, simulate

    settings = KnownReference(
        **snakemake.params.reference,
        temperature=snakemake.params.temperature,
    )
    write(snakemake.output.projected, simulate(settings))


with rule_log(snakemake.log[0]):  # noqa: F821
    main(snakemake)  # noqa: F821
