"""`vepscore report`: scored alleles as one HTML page, with a picture of each."""

import itertools
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vepscore.cli.logs import Quiet, Verbose
from vepscore.cli.options import (
    DATA,
    MODEL,
    CheckpointOption,
    Device,
    DeviceOption,
    GenesOption,
    MetadataOption,
    Organism,
    OrganismOption,
    PrecisionOption,
)
from vepscore.cli.ranking import (
    ByOption,
    GeneListOption,
    MaxFrequencyOption,
    RegionsOption,
    SampleOption,
    ScoredArgument,
    TissueOption,
    TopOption,
    ranking_options,
    refuse_replacing,
)

if TYPE_CHECKING:
    from vepscore.engine.surroundings import Surroundings
    from vepscore.report.document import Signals
    from vepscore.report.ranking import Row

log = logging.getLogger(__name__)

PictureReferenceOption = Annotated[
    Path | None,
    typer.Option(
        "-r",
        "--reference",
        help="FASTA, plain or bgzip: tracks are predicted from it. Without it pictures have none.",
        rich_help_panel=DATA,
    ),
]
PictureWindowOption = Annotated[
    str,
    typer.Option(help="Of the tracks in the pictures: 16kb to 1Mb.", rich_help_panel=MODEL),
]


def report(
    source: ScoredArgument,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT.html", help="The page.", rich_help_panel=DATA)
    ],
    reference: PictureReferenceOption = None,
    annotation: GenesOption = None,
    tracks: Annotated[
        bool,
        typer.Option("--tracks/--no-tracks", help="Predict tracks for the pictures.", rich_help_panel=MODEL),
    ] = True,
    checkpoint: CheckpointOption = None,
    metadata: MetadataOption = None,
    organism: OrganismOption = Organism.human,
    window: PictureWindowOption = "16kb",
    precision: PrecisionOption = None,
    device: DeviceOption = Device.auto,
    by: ByOption = "splice",
    tissue: TissueOption = None,
    top: TopOption = 100,
    genes: GeneListOption = None,
    region: RegionsOption = None,
    max_af: MaxFrequencyOption = None,
    sample: SampleOption = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Make one HTML page of scored alleles: a table, the strongest first, and a panel for each with a picture.

    The page is self-contained and fetches nothing.
    """
    from vepscore.genome.annotation import Annotation
    from vepscore.report.document import build_document, collect_cases
    from vepscore.report.page import PageWriter, render_page, require_jinja
    from vepscore.report.ranking import rank

    require_jinja()
    with PageWriter(output) as writer:
        refuse_replacing(output, source, annotation, reference)
        options = ranking_options(
            source,
            by=by,
            annotation=annotation,
            genes=genes,
            region=region,
            max_af=max_af,
            sample=sample,
            tissue=tissue,
            top=top,
        )
        ranking = rank(options)
        predictor = None
        if reference is not None and tracks and ranking.rows:
            predictor = open_predictor(reference, checkpoint, metadata, organism, window, precision, device)
        cases = collect_cases(
            source,
            ranking,
            Annotation.from_gtf(annotation) if annotation else None,
            predict_rows(predictor, ranking.rows, reference, is_wanted=tracks),
        )
        document = build_document(
            source, ranking, cases, tracks=predictor.facts.provenance if predictor else None
        )
        for difference in document["differences"]:
            log.warning("the tracks are not of what the scores are: %s", difference)
        writer.write(render_page(document))
    log.info("%d of %d alternate alleles are in %s", len(cases), ranking.alleles, output)


def open_predictor(
    reference: Path,
    checkpoint: str | None,
    metadata: Path | None,
    organism: Organism,
    window: str,
    precision: str | None,
    device: Device,
) -> "Surroundings":
    """What predicts the tracks of pictures."""
    from vepscore.engine.options import Job
    from vepscore.engine.surroundings import Surroundings
    from vepscore.genome.windows import parse_width

    return Surroundings(
        Job(
            reference=reference,
            genes=None,
            checkpoint=checkpoint,
            metadata=metadata,
            organism=organism,
            window_bp=parse_width(window),
            align_bp=1,
            strand="+",
            scorers=None,
            precision=precision,
            rotary="auto",
            device=device,
            batch=1,
            split="windows",
            command=("vepscore", *sys.argv[1:]),
        )
    )


def predict_rows(
    predictor: "Surroundings | None", rows: Sequence["Row"], reference: Path | None, *, is_wanted: bool
) -> Iterator["Signals"]:
    """The signals around each row, or why there are none."""
    from vepscore.genome.regions import VariantText

    if predictor is None:
        reason = "no reference was given (-r)" if reference is None else "--no-tracks"
        return itertools.repeat(reason if is_wanted else "--no-tracks", len(rows))
    log.info("predicting the tracks of %d variants", len(rows))
    variants = [
        VariantText(
            chrom=row.allele.chrom,
            pos1=row.allele.pos1,
            ref=row.allele.ref.upper(),
            alt=row.allele.alt.upper(),
        )
        for row in rows
    ]
    return predictor.predict(variants)
