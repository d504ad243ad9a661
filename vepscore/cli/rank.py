"""`vepscore rank`: the alleles of a scored file, the strongest first."""

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vepscore.cli.logs import Quiet, Verbose
from vepscore.cli.tables import print_table
from vepscore.errors import UsageError

if TYPE_CHECKING:
    from vepscore.report.ranking import Ranking

log = logging.getLogger(__name__)

STDOUT = "-"
_ORDER, _FILTERS = "Order", "Filters"


def rank(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SCORED",
            help="What `score` wrote: .vcf, .vcf.gz, .bcf, - for standard input, or the long table .parquet.",
        ),
    ],
    annotation: Annotated[
        Path | None,
        typer.Option(
            "-g",
            "--genes",
            help="GENCODE, Ensembl or RefSeq GTF, plain or gz: says what happens to the transcript.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            help=".tsv, .tsv.gz or -. Default: a table on a terminal, TSV in a pipe.",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        str,
        typer.Option(
            metavar="MODALITY",
            help="splice, rna, atac, dnase, chip_tf, chip_histone, cage, procap, contact or polya.",
            rich_help_panel=_ORDER,
        ),
    ] = "splice",
    tissue: Annotated[
        str | None,
        typer.Option(
            help="Only tracks of this biosample or ontology term. Needs the long table.",
            rich_help_panel=_ORDER,
            show_default=False,
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Only the first N.", rich_help_panel=_ORDER, show_default=False
        ),
    ] = None,
    genes: Annotated[
        list[str] | None,
        typer.Option(
            "--gene",
            metavar="LIST",
            help="Only scores of these genes: names or ids, separated by commas, or a file of them. Repeatable.",
            rich_help_panel=_FILTERS,
            show_default=False,
        ),
    ] = None,
    region: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONTIG[:START-END]",
            help="Only alleles there; 1-based. Repeatable.",
            rich_help_panel=_FILTERS,
            show_default=False,
        ),
    ] = None,
    max_af: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD=VALUE",
            help="Only alleles with at most this in an INFO field, or with none.",
            rich_help_panel=_FILTERS,
            show_default=False,
        ),
    ] = None,
    sample: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Only alleles that this sample carries.",
            rich_help_panel=_FILTERS,
            show_default=False,
        ),
    ] = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Order scored alleles by what they are predicted to do, and say what that is.

    Alleles that were not scored come last, with their status.
    """
    _check_output(source, annotation, output)

    from vepscore.report.filters import GeneList, MaxFrequency, Region
    from vepscore.report.modalities import find_modality
    from vepscore.report.ranking import Options
    from vepscore.report.ranking import rank as run

    ranking = run(
        Options(
            source=source,
            modality=find_modality(by),
            annotation=annotation,
            genes=GeneList.parse(genes) if genes else None,
            regions=tuple(map(Region.parse, region or ())),
            max_frequency=MaxFrequency.parse(max_af) if max_af else None,
            sample=sample,
            tissue=tissue,
            top=top,
        )
    )
    if output is not None and output != STDOUT:
        from vepscore.io.tsv import TsvWriter
        from vepscore.report.table import tsv_lines

        with TsvWriter(Path(output)) as writer:
            writer.write(tsv_lines(ranking))
    elif output is None and sys.stdout.isatty():
        _show(ranking)
    else:
        from vepscore.report.table import tsv_lines

        for line in tsv_lines(ranking):
            sys.stdout.buffer.write(f"{line}\n".encode("utf-8", "surrogateescape"))
    _report(ranking)


def _check_output(source: str, annotation: Path | None, output: str | None) -> None:
    if output is None or output == STDOUT:
        return
    from vepscore.io.tsv import check_suffix

    check_suffix(Path(output))
    for path in filter(None, (source, annotation)):
        if os.path.realpath(path) == os.path.realpath(output):
            raise UsageError(
                f"output {output} is an input, which it would replace", hint="give -o another path"
            )


def _show(ranking: "Ranking") -> None:
    from vepscore.report.table import terminal_columns, variant_in_words

    print_table(*terminal_columns(ranking))
    if ranking.unscored:
        print_table(
            ("not scored", "status"), [(variant_in_words(one), one.status) for one in ranking.unscored]
        )


def _report(ranking: "Ranking") -> None:
    """What was left out goes to the log."""
    log.info("%d of %d alternate alleles are ranked", len(ranking.rows), ranking.alleles)
    for reason, count in ranking.left_out.items():
        log.info("%d left out: %s", count, reason)
    if ranking.unscored:
        log.info("%d not scored, listed at the end", len(ranking.unscored))
