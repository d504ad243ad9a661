"""`vepscore calibrate`: make background quantiles."""

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from vepscore.cli.option_groups import changed, only, without
from vepscore.options import (
    DATA,
    AlleleOptions,
    ComputeOptions,
    GenomeOptions,
    ModelOptions,
    RunOptions,
    ScorerOptions,
    WindowOptions,
)

log = logging.getLogger(__name__)

_SCORERS = (
    "Scorer to make quantiles of, or `all` for every scorer that can run; may be repeated. Default: all."
)


def calibrate(
    source: Annotated[
        str,
        typer.Argument(
            metavar="VARIANTS", help="Background variants: .vcf, .vcf.gz, .bcf, or - for standard input."
        ),
    ],
    genome: GenomeOptions,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Directory to write the quantiles to; created if absent. In the checkpoint's directory, "
            "`vepscore score` finds them by itself.",
            rich_help_panel=DATA,
        ),
    ],
    model: ModelOptions,
    windows: WindowOptions,
    scoring: Annotated[ScorerOptions, only("scorers"), changed("scorers", help=_SCORERS)],
    alleles: Annotated[AlleleOptions, only("indel_anchor")],
    compute: Annotated[ComputeOptions, without("engine")],
    run: Annotated[RunOptions, only("resume")],
) -> None:
    """Score a background of variants and keep its quantiles, in which `vepscore score` then ranks its scores.

    The quantiles are valid for this checkpoint, organism, window and precision. Substitutions (SNVs and MNVs) and
    indels are ranked separately, so give 1,000 or more of each. AlphaGenome's own background is common variants.
    """
    from vepscore.cli.progress import observing, print_report
    from vepscore.engine.calibration import calibrate as run_calibration
    from vepscore.engine.job import Job
    from vepscore.engine.settings import set_up_process
    from vepscore.io.quantiles import read_quantiles

    job = Job(
        source=source,
        genome=genome,
        model=model,
        windows=windows,
        scoring=scoring,
        alleles=alleles,
        compute=compute,
        run=run,
        command=("vepscore", *sys.argv[1:]),
    )
    set_up_process(compute.device)
    with observing() as observe:
        path, report = run_calibration(job, output, observe)
    print_report(report)
    log.info("quantiles of %s: %s", read_quantiles(path).alleles, path)
