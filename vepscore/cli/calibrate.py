"""`vepscore calibrate`: a background of variants in, its quantiles out."""

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
    AlignOption,
    BatchOption,
    CheckpointOption,
    Device,
    DeviceOption,
    GenesOption,
    IndelAnchorOption,
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
    parse_indel_anchor,
)

log = logging.getLogger(__name__)


def calibrate(
    source: Annotated[
        str, typer.Argument(metavar="VARIANTS", help=".vcf, .vcf.gz, .bcf, or - for standard input.")
    ],
    reference: ReferenceOption,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Takes the quantiles. In the checkpoint's directory `vepscore score` finds them by itself.",
            rich_help_panel=DATA,
        ),
    ],
    genes: GenesOption = None,
    polya: PolyaOption = None,
    checkpoint: CheckpointOption = None,
    metadata: MetadataOption = None,
    organism: OrganismOption = Organism.human,
    window: WindowOption = AUTO,
    align: AlignOption = 1,
    strand: StrandOption = Strand.plus,
    scorer: Annotated[
        list[str] | None,
        typer.Option(
            "-s",
            "--scorer",
            help="Scorer to make quantiles of, or `all`; may be repeated. Default: all, every scorer that can run.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    indel_anchor: IndelAnchorOption = None,
    precision: PrecisionOption = None,
    rotary: RotaryOption = Rotary.auto,
    device: DeviceOption = Device.auto,
    batch: BatchOption = 1,
    split: SplitOption = Split.windows,
    resume: ResumeOption = True,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Score a background of variants and keep its quantiles, in which `vepscore score` then ranks its scores.

    The quantiles hold for this checkpoint, organism, window and precision. Substitutions (SNVs and MNVs) and indels are
    ranked apart, so give 1,000 or more of each. The background of AlphaGenome's quantiles are common variants.
    """
    from vepscore.cli.progress import observing, print_report
    from vepscore.engine.calibration import calibrate as run
    from vepscore.engine.job import ALL_SCORERS, Job
    from vepscore.engine.preparer import MismatchPolicy
    from vepscore.engine.settings import set_up_process
    from vepscore.io.quantiles import read_quantiles

    window_bp = find_window(window, checkpoint)
    check_align(align, window_bp)
    job = Job(
        source=source,
        reference=reference,
        genes=genes,
        polya=polya,
        outputs=(),
        table=None,
        background=None,
        checkpoint=checkpoint,
        metadata=metadata,
        organism=organism,
        window_bp=window_bp,
        align_bp=align,
        strand="-" if strand is Strand.minus else "+",
        scorers=tuple(scorer) if scorer else (ALL_SCORERS,),
        indel_anchor=parse_indel_anchor(indel_anchor),
        precision=precision,
        rotary=rotary,
        on_mismatch=MismatchPolicy.SKIP,
        device=device,
        batch=batch,
        engine="sparse",
        split=split,
        quantiles=None,
        use_quantiles=False,
        overwrite=True,  # nothing of the input is written
        shard=None,
        resume=resume,
        cluster=None,
        summary=None,
        command=("vepscore", *sys.argv[1:]),
    )
    set_up_process(device)
    with observing() as observe:
        path, report = run(job, output, observe)
    if log.isEnabledFor(logging.INFO):
        print_report(report)
        log.info("quantiles of %s: %s", read_quantiles(path).alleles, path)
