"""`vepscore ism`: in-silico saturation mutagenesis of a region: a table of all its substitutions, and a picture."""

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from vepscore.cli.logs import Quiet, Verbose
from vepscore.cli.option_groups import (
    AUTO,
    DATA,
    MODEL,
    BatchOption,
    CheckpointOption,
    Device,
    DeviceOption,
    GenesOption,
    MetadataOption,
    Organism,
    OrganismOption,
    PolyaOption,
    PrecisionOption,
    ReferenceOption,
    ResumeOption,
    Rotary,
    RotaryOption,
    Split,
    SplitOption,
    Strand,
    StrandOption,
    WindowOption,
    check_align,
    find_window,
)


def ism(
    region: Annotated[
        str,
        typer.Argument(metavar="REGION", help="chr1:1,000-1,200 (1-based, inclusive), up to 5,000 bp."),
    ],
    reference: ReferenceOption,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="OUT.parquet", help="The scores.", rich_help_panel=DATA),
    ],
    genes: GenesOption = None,
    polya: PolyaOption = None,
    picture: Annotated[
        Path | None,
        typer.Option(help="A logo over a heat map: .svg or .png.", rich_help_panel=DATA),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="SCORER",
            help="What the picture is of. Default: VS_SPLICE, the composite; with -s the first scorer.",
            rich_help_panel=DATA,
        ),
    ] = None,
    checkpoint: CheckpointOption = None,
    metadata: MetadataOption = None,
    organism: OrganismOption = Organism.human,
    window: WindowOption = AUTO,
    align: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Grid of window starts in bp, a multiple of 128; 1 centres each window. "
            "Default: 32768, or a quarter of the window.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    strand: StrandOption = Strand.plus,
    scorer: Annotated[
        list[str] | None,
        typer.Option(
            "-s",
            "--scorer",
            help="Scorer to run, or `all` for every scorer that can run; may be repeated. "
            "Default: those of the composite splicing score.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    precision: PrecisionOption = None,
    rotary: RotaryOption = Rotary.auto,
    device: DeviceOption = Device.auto,
    batch: BatchOption = 1,
    split: SplitOption = Split.windows,
    resume: ResumeOption = True,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Score every substitution of a region (saturation mutagenesis), and draw what its bases do.

    The scores are those of `vepscore score` with the same window and the same --align.
    """
    from vepscore.cli.progress import observing, print_report
    from vepscore.engine.job import Job
    from vepscore.engine.saturation import grid_for, run_saturation
    from vepscore.engine.settings import set_up_process

    window_bp = find_window(window, checkpoint)
    align = grid_for(window_bp) if align is None else align
    check_align(align, window_bp)
    job = Job(
        reference=reference,
        genes=genes,
        polya=polya,
        checkpoint=checkpoint,
        metadata=metadata,
        organism=organism,
        window_bp=window_bp,
        align_bp=align,
        strand="-" if strand is Strand.minus else "+",
        scorers=tuple(scorer) if scorer else None,
        precision=precision,
        rotary=rotary,
        device=device,
        batch=batch,
        split=split,
        resume=resume,
        command=("vepscore", *sys.argv[1:]),
    )
    set_up_process(device)
    with observing() as observe:
        report = run_saturation(job, region, output, picture=picture, by=by, observe=observe)
    if logging.getLogger(__name__).isEnabledFor(logging.INFO):
        print_report(report)
