"""`vepscore predict`: a region or a variant in, the predicted tracks out as files for a genome browser."""

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
    CheckpointOption,
    Device,
    DeviceOption,
    IndelAnchorOption,
    MetadataOption,
    Organism,
    OrganismOption,
    PrecisionOption,
    ReferenceOption,
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
from vepscore.cli.tables import print_table


def predict(
    place: Annotated[
        str,
        typer.Argument(
            metavar="REGION|VARIANT",
            help="chr1:1,000-2,000 (1-based, inclusive), or chr1:1500:G>A, or chr1-1500-G-A.",
        ),
    ],
    reference: ReferenceOption,
    folder: Annotated[
        Path,
        typer.Option("-o", metavar="DIR", help="Takes the files; made when absent.", rich_help_panel=DATA),
    ],
    output: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OUTPUT",
            help="Repeatable: DNASE, RNA_SEQ, … Default: all that the checkpoint predicts.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    tissue: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|TERM",
            help="Only tracks of biosamples with this in their name, or of this ontology term: UBERON:0002107.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            metavar="REGION",
            help="Of a variant: what to write. Default: 16,384 bp around it.",
            rich_help_panel=DATA,
        ),
    ] = None,
    checkpoint: CheckpointOption = None,
    metadata: MetadataOption = None,
    organism: OrganismOption = Organism.human,
    window: WindowOption = AUTO,
    align: AlignOption = 1,
    strand: StrandOption = Strand.plus,
    indel_anchor: IndelAnchorOption = None,
    precision: PrecisionOption = None,
    rotary: RotaryOption = Rotary.auto,
    device: DeviceOption = Device.auto,
    split: SplitOption = Split.windows,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Predict tracks over a region, or for both alleles of a variant, as bigWig; contact maps as NPZ.

    A variant gets three files a track: reference, alternate in the reference's coordinates, and alternate minus
    reference. The table on standard output names the files.
    """
    from vepscore.engine.job import Job
    from vepscore.engine.prediction import Prediction
    from vepscore.engine.prediction import predict as run
    from vepscore.engine.settings import set_up_process
    from vepscore.io.bigwig import require_bigwig

    require_bigwig()
    window_bp = find_window(window, checkpoint)
    check_align(align, window_bp)
    job = Job(
        reference=reference,
        genes=None,
        checkpoint=checkpoint,
        metadata=metadata,
        organism=organism,
        window_bp=window_bp,
        align_bp=align,
        strand="-" if strand is Strand.minus else "+",
        indel_anchor=parse_indel_anchor(indel_anchor),
        scorers=None,
        precision=precision,
        rotary=rotary,
        device=device,
        batch=1,
        split=split,
        command=("vepscore", *sys.argv[1:]),
    )
    asked = Prediction(place=place, region=region, outputs=tuple(output) if output else None, tissue=tissue)
    set_up_process(device)
    written = run(job, asked, folder)
    columns = ("file", "output", "track", "biosample", "allele", "bp", "bins", "min", "mean", "max")
    rows = [
        (
            str(folder / file.file),
            file.output,
            file.track,
            file.biosample,
            file.allele,
            str(file.resolution_bp),
            str(file.bins),
            *(f"{value:.4g}" for value in (file.smallest, file.mean, file.largest)),
        )
        for file in written
    ]
    print_table(columns, rows)
