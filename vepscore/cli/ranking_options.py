"""Options shared by the commands that rank scored alleles."""

from typing import Annotated

import typer

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
    ),
]
TopOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Keep only the first N. Default: all.",
        rich_help_panel=ORDER,
    ),
]
GeneListOption = Annotated[
    list[str] | None,
    typer.Option(
        "--gene",
        metavar="LIST",
        help="Use only scores of these genes: names or ids, separated by commas, or a file of them. May be repeated.",
        rich_help_panel=FILTERS,
    ),
]
RegionsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--region",
        metavar="CONTIG[:START-END]",
        help="Keep only alleles in this region, 1-based. May be repeated.",
        rich_help_panel=FILTERS,
    ),
]
MaxFrequencyOption = Annotated[
    str | None,
    typer.Option(
        metavar="FIELD=VALUE",
        help="Keep only alleles with at most VALUE in the INFO field, or with no value, such as gnomAD_AF=0.001.",
        rich_help_panel=FILTERS,
    ),
]
SampleOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Keep only alleles that this sample carries.",
        rich_help_panel=FILTERS,
    ),
]
