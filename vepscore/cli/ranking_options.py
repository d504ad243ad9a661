"""The options of commands that rank scored alleles."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vepscore.report.ranking import RankingOptions

ORDER, FILTERS = "Order", "Filters"  # groups in the help

ScoredArgument = Annotated[
    str,
    typer.Argument(
        metavar="SCORED",
        help="What `score` wrote: .vcf, .vcf.gz, .bcf, - for standard input, or the long table .parquet.",
    ),
]
ByOption = Annotated[
    str,
    typer.Option(
        metavar="MODALITY",
        help="splice, rna, atac, dnase, chip_tf, chip_histone, cage, procap, contact or polya.",
        rich_help_panel=ORDER,
    ),
]
TissueOption = Annotated[
    str | None,
    typer.Option(
        help="Only tracks of this biosample or ontology term. Needs the long table.",
        rich_help_panel=ORDER,
        show_default=False,
    ),
]
TopOption = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Only the first N.", rich_help_panel=ORDER, show_default=False),
]
GeneListOption = Annotated[
    list[str] | None,
    typer.Option(
        "--gene",
        metavar="LIST",
        help="Only scores of these genes: names or ids, separated by commas, or a file of them. Repeatable.",
        rich_help_panel=FILTERS,
        show_default=False,
    ),
]
RegionsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--region",
        metavar="CONTIG[:START-END]",
        help="Only alleles there; 1-based. Repeatable.",
        rich_help_panel=FILTERS,
        show_default=False,
    ),
]
MaxFrequencyOption = Annotated[
    str | None,
    typer.Option(
        metavar="FIELD=VALUE",
        help="Only alleles with at most this in an INFO field, or with none.",
        rich_help_panel=FILTERS,
        show_default=False,
    ),
]
SampleOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Only alleles that this sample carries.",
        rich_help_panel=FILTERS,
        show_default=False,
    ),
]


def ranking_options(
    source: str,
    *,
    by: str,
    annotation: Path | None = None,
    reference: Path | None = None,
    genes: list[str] | None = None,
    region: list[str] | None = None,
    max_af: str | None = None,
    sample: str | None = None,
    tissue: str | None = None,
    top: int | None = None,
) -> "RankingOptions":
    """The options as a ranking takes them.

    Raises:
        UsageError: one of them is malformed.
    """
    from vepscore.report.filters import GeneList, MaxFrequency, RegionFilter
    from vepscore.report.modalities import find_modality
    from vepscore.report.ranking import RankingOptions

    return RankingOptions(
        source=source,
        modality=find_modality(by),
        annotation=annotation,
        reference=reference,
        genes=GeneList.parse(genes) if genes else None,
        regions=tuple(map(RegionFilter.parse, region or ())),
        max_frequency=MaxFrequency.parse(max_af) if max_af else None,
        sample=sample,
        tissue=tissue,
        top=top,
    )
