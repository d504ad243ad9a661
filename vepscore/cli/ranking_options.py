"""Options shared by the commands that rank scored alleles."""

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
        help="Output of `score`: .vcf, .vcf.gz, .bcf, - for standard input, or the long table .parquet.",
    ),
]
ByOption = Annotated[
    str,
    typer.Option(
        metavar="MODALITY",
        help="Effect to rank by: splice, rna, atac, dnase, chip_tf, chip_histone, cage, procap, contact or polya.",
        rich_help_panel=ORDER,
    ),
]
TissueOption = Annotated[
    str | None,
    typer.Option(
        help="Use only tracks of this biosample or ontology term. Needs the long table. Default: all tissues.",
        rich_help_panel=ORDER,
        show_default=False,
    ),
]
TopOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Keep only the first N. Default: all.",
        rich_help_panel=ORDER,
        show_default=False,
    ),
]
GeneListOption = Annotated[
    list[str] | None,
    typer.Option(
        "--gene",
        metavar="LIST",
        help="Use only scores of these genes: names or ids, separated by commas, or a file of them. May be repeated.",
        rich_help_panel=FILTERS,
        show_default=False,
    ),
]
RegionsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--region",
        metavar="CONTIG[:START-END]",
        help="Keep only alleles in this region, 1-based. May be repeated.",
        rich_help_panel=FILTERS,
        show_default=False,
    ),
]
MaxFrequencyOption = Annotated[
    str | None,
    typer.Option(
        metavar="FIELD=VALUE",
        help="Keep only alleles with at most VALUE in the INFO field, or with no value, such as gnomAD_AF=0.001.",
        rich_help_panel=FILTERS,
        show_default=False,
    ),
]
SampleOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Keep only alleles that this sample carries.",
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
    """Return the options of a ranking.

    Raises:
        UsageError: an option is malformed.
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
