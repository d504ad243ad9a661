"""`vepscore predict`: predict the tracks of a region or a variant, as files for a genome browser."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from vepscore.cli.option_groups import only, without
from vepscore.cli.tables import print_table
from vepscore.options import (
    DATA,
    MODEL,
    AlleleOptions,
    ComputeOptions,
    GenomeOptions,
    ModelOptions,
    WindowOptions,
)


def predict(
    place: Annotated[
        str,
        typer.Argument(
            metavar="REGION|VARIANT",
            help="Region, e.g. chr1:1,000-2,000 (1-based, inclusive); or variant, e.g. chr1:1500:G>A or chr1-1500-G-A.",
        ),
    ],
    genome: Annotated[GenomeOptions, only("reference")],
    folder: Annotated[
        Path,
        typer.Option(
            "-o", metavar="DIR", help="Directory for the files; created if absent.", rich_help_panel=DATA
        ),
    ],
    model: ModelOptions,
    windows: WindowOptions,
    alleles: Annotated[AlleleOptions, only("indel_anchor")],
    compute: Annotated[ComputeOptions, without("batch", "engine")],
    output: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OUTPUT",
            help="Output type to predict, e.g. DNASE or RNA_SEQ; may be repeated. Default: all that the checkpoint "
            "predicts.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    tissue: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|TERM",
            help="Write only tracks of biosamples with this text in their name, or of this ontology term, e.g. "
            "UBERON:0002107. Default: all.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            metavar="REGION",
            help="Region to write for a variant. Default: 16,384 bp around it.",
            rich_help_panel=DATA,
        ),
    ] = None,
) -> None:
    """Predict tracks over a region, or for both alleles of a variant, as bigWig; contact maps as NPZ.

    A variant gets three files a track: reference, alternate in the reference's coordinates, and alternate minus
    reference. The table on standard output names the files.
    """
    from vepscore.api import Model
    from vepscore.engine.job import Job
    from vepscore.engine.settings import set_up_process
    from vepscore.io.bigwig import require_bigwig

    require_bigwig()
    job = Job(
        genome=genome,
        model=model,
        windows=windows,
        alleles=alleles,
        compute=compute,
        command=("vepscore", *sys.argv[1:]),
    )
    set_up_process(compute.device)
    written = Model(job).predict_files(folder, place, outputs=output, tissue=tissue, region=region)
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
