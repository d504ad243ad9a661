"""`vepscore score`: score the variants of a VCF."""

import sys
from typing import Annotated

import typer

from vepscore.io.formats import OutputOptions
from vepscore.options import (
    AlleleOptions,
    ComputeOptions,
    GenomeOptions,
    ModelOptions,
    RunOptions,
    ScorerOptions,
    WindowOptions,
)

NOT_ALL_SCORED = 3  # exit status with --strict


def score(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="Variants: .vcf, .vcf.gz, .bcf, or - for standard input.")
    ],
    genome: GenomeOptions,
    outputs: OutputOptions,
    model: ModelOptions,
    windows: WindowOptions,
    scoring: ScorerOptions,
    alleles: AlleleOptions,
    compute: ComputeOptions,
    run: RunOptions,
) -> None:
    """Score the variants of a VCF: how each allele changes splicing, expression, accessibility and more."""
    from vepscore.api import Model
    from vepscore.cli.progress import observing, print_report
    from vepscore.engine.job import Job
    from vepscore.engine.settings import set_up_process

    job = Job(
        genome=genome,
        model=model,
        windows=windows,
        scoring=scoring,
        alleles=alleles,
        compute=compute,
        command=("vepscore", *sys.argv[1:]),
    )
    set_up_process(compute.device)
    with observing() as observe:
        report = Model(job).score_vcf(source, outputs.outputs, run=run, observe=observe)
    print_report(report)
    if run.strict and report.counts.unscored:
        raise typer.Exit(NOT_ALL_SCORED)
