"""`vepscore report`: an HTML page of scored alleles, with a picture of each."""

import dataclasses
import logging
from pathlib import Path
from typing import Annotated

import typer

from vepscore.cli.option_groups import changed, only, typer_option, without
from vepscore.cli.pictures import (
    NO_REFERENCE,
    PICTURE_WINDOW,
    PictureReferenceOption,
    open_predictor,
    predict_rows,
    predictor_inputs,
)
from vepscore.cli.rank import ScoredArgument
from vepscore.options import (
    DATA,
    MODEL,
    ComputeOptions,
    GenomeOptions,
    ModelOptions,
    RankOptions,
    WindowOptions,
)

log = logging.getLogger(__name__)

_ALL = RankOptions()
_FIRST = changed("top", help="Keep only the first N.", command_default=100, shows_default=True)


def report(
    source: ScoredArgument,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="OUT.html", help="HTML page to write.", rich_help_panel=DATA),
    ],
    model: Annotated[ModelOptions, without("rotary")],
    windows: Annotated[WindowOptions, only("window"), PICTURE_WINDOW],
    compute: Annotated[ComputeOptions, only("device")],
    reference: PictureReferenceOption = None,
    annotation: Annotated[Path | None, typer_option(GenomeOptions, "genes")] = None,
    tracks: Annotated[
        bool,
        typer.Option(
            "--tracks/--no-tracks",
            help="Predict tracks for the pictures, which needs -r.",
            rich_help_panel=MODEL,
        ),
    ] = True,
    order: Annotated[RankOptions, _FIRST] = _ALL,
) -> None:
    """Write an HTML page of scored alleles: a ranked table, and a panel with a picture for each allele.

    The page is one file that works offline.
    """
    from vepscore.genome.annotation import Annotation
    from vepscore.io.output_paths import check_output_paths
    from vepscore.io.staged_writer import TextWriter
    from vepscore.report.document import build_document, collect_alleles, read_facts
    from vepscore.report.page import SUFFIXES, render_page, require_jinja
    from vepscore.report.ranking import RankingOptions, rank

    require_jinja()
    predicted_from = predictor_inputs(reference, model) if tracks else ()
    check_output_paths([output], [source, annotation, reference, *(order.genes or ()), *predicted_from])
    with TextWriter(output, SUFFIXES) as writer:
        options = RankingOptions(
            source=source,
            annotation=annotation,
            reference=reference if tracks else None,
            **dataclasses.asdict(order),
        )
        ranking = rank(options)
        predictor = None
        if reference is not None and tracks and ranking.rows:
            facts = read_facts(ranking)
            predictor = open_predictor(reference, model, windows, compute, facts)
        alleles = collect_alleles(
            source,
            ranking,
            Annotation.from_gtf(annotation) if annotation else None,
            predict_rows(predictor, ranking.rows, reason=NO_REFERENCE if tracks else "--no-tracks"),
        )
        document = build_document(
            source, ranking, alleles, tracks=predictor.info.metadata.to_header() if predictor else None
        )
        for difference in document["differences"]:
            log.warning("the tracks and the scores were predicted differently: %s", difference)
        writer.write([render_page(document)])
    log.info("%d of %d alternate alleles are in %s", len(alleles), ranking.alleles, output)
