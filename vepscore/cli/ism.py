"""`vepscore ism`: in-silico saturation mutagenesis of a region."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from vepscore.cli.option_groups import changed, only, without
from vepscore.options import (
    DATA,
    MODEL,
    ComputeOptions,
    GenomeOptions,
    ModelOptions,
    RunOptions,
    SaturationOptions,
    ScorerOptions,
    WindowOptions,
)

_SCORERS = (
    "Scorer to run, or `all` for every scorer that can run; may be repeated. "
    "Default: those of the composite splicing score."
)


def ism(
    region: Annotated[
        str,
        typer.Argument(
            metavar="REGION", help="Region of up to 5,000 bp, e.g. chr1:1,000-1,200 (1-based, inclusive)."
        ),
    ],
    genome: GenomeOptions,
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="OUT.parquet", help="File for the scores.", rich_help_panel=DATA
        ),
    ],
    drawing: SaturationOptions,
    model: ModelOptions,
    windows: Annotated[WindowOptions, without("align")],
    scoring: Annotated[ScorerOptions, only("scorers"), changed("scorers", help=_SCORERS)],
    compute: Annotated[ComputeOptions, without("engine")],
    run: Annotated[RunOptions, only("resume")],
    align: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="BP",
            help="Snap window starts to a grid of this many bp (a multiple of 128); 1 centers each window. "
            "Default: 32768, or a quarter of the window.",
            rich_help_panel=MODEL,
        ),
    ] = None,
) -> None:
    """Score every substitution of a region (saturation mutagenesis), and draw the effect of each base.

    The scores are those of `vepscore score` with the same window and the same --align.
    """
    from vepscore.api import Model
    from vepscore.cli.progress import observing, print_report
    from vepscore.engine.job import Job
    from vepscore.engine.settings import set_up_process

    job = Job(
        genome=genome,
        model=model,
        windows=windows,
        scoring=scoring,
        compute=compute,
        command=("vepscore", *sys.argv[1:]),
    )
    set_up_process(compute.device)
    with observing() as observe:
        report = Model(job).ism_files(
            region, output, picture=drawing.picture, by=drawing.by, align=align, run=run, observe=observe
        )
    print_report(report)
