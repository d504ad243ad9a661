"""`vepscore plot`: the picture of one variant as a file."""

import dataclasses
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vepscore.cli.option_groups import only, typer_option, without
from vepscore.cli.pictures import (
    PICTURE_WINDOW,
    PictureReferenceOption,
    open_predictor,
    predict_rows,
    predictor_inputs,
)
from vepscore.errors import InputError, UsageError
from vepscore.options import DATA, ComputeOptions, GenomeOptions, ModelOptions, RankOptions, WindowOptions

if TYPE_CHECKING:
    from vepscore.engine.prediction import ContextPredictor
    from vepscore.genome.annotation import Annotation as Genes
    from vepscore.genome.regions import VariantText
    from vepscore.report.gene_model import Interval
    from vepscore.report.scene import Scene

log = logging.getLogger(__name__)


def plot(
    source: Annotated[
        str,
        typer.Argument(
            metavar="VARIANT|SCORED",
            help="A variant, e.g. chr1:1500:G>A or chr1-1500-G-A; or output of `score`: .vcf, .vcf.gz, .bcf, .parquet.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Picture: .svg, .png or .pdf.", rich_help_panel=DATA
        ),
    ],
    model: Annotated[ModelOptions, without("rotary")],
    windows: Annotated[WindowOptions, only("window"), PICTURE_WINDOW],
    compute: Annotated[ComputeOptions, only("device")],
    reference: PictureReferenceOption = None,
    annotation: Annotated[Path | None, typer_option(GenomeOptions, "genes")] = None,
    rank: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="Allele of a scored file to draw, by its rank: 1 is the strongest."
        ),
    ] = 1,
    by: Annotated[str, typer_option(RankOptions, "by")] = "splice",
    width: Annotated[
        int | None,
        typer.Option(
            min=20,
            metavar="BP",
            help="Width of the sequence to draw, centered on the variant. Default: the variant and what it changes.",
        ),
    ] = None,
    place: Annotated[int | None, typer.Option(min=1, hidden=True)] = None,
) -> None:
    """Draw a variant: genes, predicted splice sites and tracks of both alleles, and junctions that change.

    The picture of an allele of a scored file also shows its scores. A variant by itself needs -r.
    """
    from vepscore.genome.annotation import Annotation
    from vepscore.genome.consistency import check_files
    from vepscore.genome.fasta import Reference
    from vepscore.genome.regions import parse_variant
    from vepscore.io.drawing import DrawingWriter
    from vepscore.io.output_paths import check_output_paths
    from vepscore.report.picture import draw_picture

    if place is not None:
        log.warning("--place is now called --rank; the former name will be removed")
        rank = place
    check_output_paths([output], [source, annotation, *predictor_inputs(reference, model)])
    with DrawingWriter(output) as writer:
        variant = None if Path(source).is_file() else parse_variant(source)
        genes = Annotation.from_gtf(annotation) if annotation else None

        def open_tracks(reference: Path, facts: Mapping[str, str] | None = None) -> "ContextPredictor":
            return open_predictor(reference, model, windows, compute, facts)

        if variant is None:
            scene = _scored_scene(source, rank, by, annotation, reference, genes, open_tracks)
        elif reference is None:
            raise UsageError(
                f"{source}\na variant by itself is drawn from predictions, which need a reference",
                hint="pass -r REF.fa, or draw an allele of a scored file",
            )
        else:
            check_files(reference=Reference(reference), annotation=genes)
            scene = _predicted_scene(variant, genes, open_tracks(reference))
        writer.write(draw_picture(scene, None if width is None else _centered(scene, width)))


def _centered(scene: "Scene", width_bp: int) -> "Interval":
    from vepscore.report.gene_model import Interval

    start0 = (scene.variant.start0 + scene.variant.end0) // 2 - width_bp // 2
    return Interval(start0, start0 + width_bp)


def _predicted_scene(variant: "VariantText", genes: "Genes | None", predictor: "ContextPredictor") -> "Scene":
    """Return a variant without scores, and the predictions around it.

    Raises:
        InputError: nothing can be predicted for it.
    """
    from vepscore.report.details import Details
    from vepscore.report.ranking_table import variant_in_words
    from vepscore.report.scene import compose_scene

    (signals,) = predictor.predict([variant])
    if isinstance(signals, str):
        raise InputError(
            f"variant {variant_in_words(variant)}\n{signals}",
            hint="give a 1-based position, and REF as the reference has it",
        )
    return compose_scene(variant, Details(), annotation=genes, signals=signals)


def _scored_scene(
    source: str,
    rank: int,
    by: str,
    annotation: Path | None,
    reference: Path | None,
    genes: "Genes | None",
    open_tracks: "Callable[[Path, Mapping[str, str]], ContextPredictor]",
) -> "Scene":
    """Return the allele of a scored file that has a rank.

    Raises:
        UsageError: the file has fewer alleles.
    """
    from vepscore.report.document import collect_alleles, read_facts
    from vepscore.report.ranking import RankingOptions
    from vepscore.report.ranking import rank as rank_alleles

    options = RankingOptions(source=source, by=by, annotation=annotation, reference=reference, top=rank)
    ranking = rank_alleles(options)
    if len(ranking.rows) < rank:
        raise UsageError(
            f"--rank {rank}\n{source} has {len(ranking.rows)} alleles with a {ranking.modality.field}",
            hint="choose a smaller --rank, or --by another modality",
        )
    ranking = dataclasses.replace(ranking, rows=ranking.rows[-1:])
    predictor = open_tracks(reference, read_facts(ranking)) if reference else None
    (found,) = collect_alleles(source, ranking, genes, predict_rows(predictor, ranking.rows))
    return found.scene
