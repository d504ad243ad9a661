"""`vepscore merge`: join the outputs of a job array."""

from pathlib import Path
from typing import Annotated

import typer


def merge(
    parts: Annotated[
        list[Path],
        typer.Argument(metavar="PART...", help="Outputs of `score --shard I/N`: all N parts, in any order."),
    ],
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Output file, in the format of the parts: .vcf, .vcf.gz, .bcf or - for a VCF; "
            ".parquet, .tsv or .tsv.gz for a table.",
        ),
    ],
) -> None:
    """Join the outputs of a job array into exactly what a single run would write."""
    from vepscore.io.merging import merge as join

    join(parts, output)
