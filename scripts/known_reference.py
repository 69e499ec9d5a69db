"""Rule known_reference: a fluid whose potential and dynamics are known, in place of water."""

from dynmatch.backend import configure
from dynmatch.log import rule_log


def main(snakemake) -> None:
    configure("cpu", snakemake.threads)
    # imported here: JAX reads its settings when it is imported
    from dynmatch.known import KnownReference, simulate
    from dynmatch.trajectory import write

    settings = KnownReference(
        **snakemake.params.reference,
        temperature=snakemake.params.temperature,
    )
    write(snakemake.output.projected, simulate(settings))


with rule_log(snakemake.log[0]):  # noqa: F821
    main(snakemake)  # noqa: F821
