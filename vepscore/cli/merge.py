"""`vepscore merge`: the parts of a job array into what one run would have written."""

from pathlib import Path
from typing import Annotated

import typer

from vepscore.cli.logs import Quiet, Verbose


def merge(
    parts: Annotated[
        list[Path],
        typer.Argument(metavar="PART...", help="What `score --shard I/N` wrote, all N parts, in any order."),
    ],
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            help="VCF parts: .vcf, .vcf.gz, .bcf or -; tables: .parquet, .tsv or .tsv.gz, as the parts are.",
        ),
    ],
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Join the parts of a job array into exactly what one run writes."""
    from vepscore.io.merging import merge as join

    join(parts, output)
