"""`vepscore rank`: the alleles of a scored file, ordered by predicted effect."""

import dataclasses
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vepscore.cli.tables import print_table
from vepscore.options import RankOptions

if TYPE_CHECKING:
    from vepscore.report.ranking import Ranking

log = logging.getLogger(__name__)

STDOUT = "-"
_ALL = RankOptions()

ScoredArgument = Annotated[
    str,
    typer.Argument(
        metavar="SCORED",
        help="Output of `score`: .vcf, .vcf.gz, .bcf, - for standard input, or the long table .parquet.",
    ),
]


def rank(
    source: ScoredArgument,
    annotation: Annotated[
        Path | None,
        typer.Option(
            "-g",
            "--genes",
            help="Gene annotation, to name the likely effect on the transcript: GENCODE, Ensembl or RefSeq GTF.",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Table: .tsv, .tsv.gz, or - for standard output. Default: a table on a terminal, TSV in a pipe.",
        ),
    ] = None,
    order: RankOptions = _ALL,
) -> None:
    """Rank scored alleles by predicted effect, and name the likely splice event.

    Alleles that could not be scored come last, with their status.
    """
    from vepscore.io.output_paths import check_output_paths
    from vepscore.io.streams import output_suffix
    from vepscore.io.suffixes import TSV_SUFFIXES

    output_suffix(output or STDOUT, TSV_SUFFIXES)
    check_output_paths([output or STDOUT], [source, annotation, *(order.genes or ())])

    from vepscore.report.ranking import RankingOptions
    from vepscore.report.ranking import rank as rank_alleles

    options = RankingOptions(source=source, annotation=annotation, **dataclasses.asdict(order))
    ranking = rank_alleles(options)
    if output is None and sys.stdout.isatty():
        _show(ranking)
    else:
        from vepscore.io.staged_writer import TextWriter
        from vepscore.report.ranking_table import tsv_lines

        with TextWriter(output or STDOUT, TSV_SUFFIXES) as writer:
            writer.write(f"{line}\n" for line in tsv_lines(ranking))
    _report(ranking)


def _show(ranking: "Ranking") -> None:
    from vepscore.report.ranking_table import terminal_columns, variant_in_words

    print_table(*terminal_columns(ranking))
    if ranking.unscored:
        print_table(
            ("not scored", "status"), [(variant_in_words(one), one.status) for one in ranking.unscored]
        )


def _report(ranking: "Ranking") -> None:
    """Log how many alleles were ranked, and how many were excluded."""
    log.info("%d of %d alternate alleles are ranked", len(ranking.rows), ranking.alleles)
    for reason, count in ranking.excluded.items():
        log.info("%d excluded: %s", count, reason)
    if ranking.unscored:
        log.info("%d not scored, listed at the end", len(ranking.unscored))
