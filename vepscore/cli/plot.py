"""`vepscore plot`: the picture of one variant as a file."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vepscore.cli.logs import Quiet, Verbose
from vepscore.cli.option_groups import Only, Without, typer_option
from vepscore.cli.pictures import (
    PICTURE_WINDOW,
    PictureReferenceOption,
    open_predictor,
    predict_rows,
    predictor_inputs,
)
from vepscore.cli.ranking_options import ByOption, ranking_options
from vepscore.errors import InputError, UsageError
from vepscore.options import DATA, ComputeOptions, GenomeOptions, ModelOptions, WindowOptions

if TYPE_CHECKING:
    from vepscore.engine.context import ContextPredictor
    from vepscore.genome.annotation import Annotation as Genes
    from vepscore.genome.regions import VariantText
    from vepscore.report.scene import Scene


def plot(
    source: Annotated[
        str,
        typer.Argument(
            metavar="VARIANT|SCORED",
            help="chr1:1500:G>A or chr1-1500-G-A; or what `score` wrote: .vcf, .vcf.gz, .bcf, .parquet.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help=".svg or .png.", rich_help_panel=DATA)
    ],
    model: Annotated[ModelOptions, Without("rotary")],
    windows: Annotated[WindowOptions, Only("window"), PICTURE_WINDOW],
    compute: Annotated[ComputeOptions, Only("device")],
    reference: PictureReferenceOption = None,
    annotation: Annotated[Path | None, typer_option(GenomeOptions, "genes")] = None,
    place: Annotated[int, typer.Option(min=1, metavar="N", help="Of a scored file: the N-th strongest.")] = 1,
    by: ByOption = "splice",
    width: Annotated[
        int | None,
        typer.Option(
            min=20,
            metavar="BP",
            help="Shown around the variant. Default: the variant and what it changes.",
            show_default=False,
        ),
    ] = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Draw a variant: genes, splice sites and tracks of both alleles, and the junctions that change.

    A scored file gives the scores in the picture; its N-th strongest allele is drawn. A variant by itself needs -r.
    """
    from vepscore.genome.annotation import Annotation
    from vepscore.genome.consistency import check_files
    from vepscore.genome.fasta import Reference
    from vepscore.genome.regions import parse_variant
    from vepscore.io.figures import FigureWriter, require_matplotlib
    from vepscore.io.output_paths import check_output_paths
    from vepscore.report.drawing import draw_scene
    from vepscore.report.gene_model import Interval

    require_matplotlib()
    check_output_paths([output], [source, annotation, *predictor_inputs(reference, model)])
    with FigureWriter(output) as writer:
        variant = None if Path(source).is_file() else parse_variant(source)
        if variant is not None and reference is None:
            raise UsageError(
                f"{source}\na variant is drawn from predictions, and there is no reference",
                hint="pass -r REF.fa, or draw it from a scored file",
            )
        genes = Annotation.from_gtf(annotation) if annotation else None

        def open_tracks(facts: Mapping[str, str] | None = None) -> "ContextPredictor | None":
            if reference is None:
                return None
            return open_predictor(reference, model, windows, compute, facts)

        if variant is not None:
            check_files(reference=Reference(reference), annotation=genes)
            scene = _predicted(variant, genes, open_tracks())
        else:
            scene = _scored(source, place, by, annotation, reference, genes, open_tracks)
        view = None
        if width is not None:
            middle0 = (scene.variant.start0 + scene.variant.end0) // 2
            view = Interval(middle0 - width // 2, middle0 - width // 2 + width)
        writer.write(lambda: draw_scene(scene, view))


def _predicted(variant: "VariantText", genes: "Genes | None", predictor: "ContextPredictor") -> "Scene":
    """A variant that nothing is known of but the predictions around it.

    Raises:
        InputError: it cannot be predicted.
    """
    from vepscore.report.details import Details
    from vepscore.report.ranking_table import variant_in_words
    from vepscore.report.scene import compose_scene

    (signals,) = predictor.predict([variant])
    name = variant_in_words(variant)
    if isinstance(signals, str):
        raise InputError(
            f"variant {name}\n{signals}",
            hint="positions are 1-based, and REF is what the reference has there",
        )
    return compose_scene(
        chrom=variant.chrom,
        pos1=variant.pos1,
        ref=variant.ref,
        name=name,
        details=Details(),
        annotation=genes,
        signals=signals,
    )


def _scored(
    source: str,
    place: int,
    by: str,
    annotation: Path | None,
    reference: Path | None,
    genes: "Genes | None",
    open_tracks: Callable[[Mapping[str, str]], "ContextPredictor | None"],
) -> "Scene":
    """The allele of that place.

    Raises:
        UsageError: there are fewer.
    """
    from vepscore.report.document import collect_alleles, read_facts
    from vepscore.report.ranking import rank

    ranking = rank(ranking_options(source, by=by, annotation=annotation, reference=reference, top=place))
    if len(ranking.rows) < place:
        raise UsageError(
            f"--place {place}\n{source} has {len(ranking.rows)} alleles with a {ranking.modality.field}",
            hint="choose another --place, or --by another modality",
        )
    ranking = dataclasses.replace(ranking, rows=ranking.rows[-1:])
    signals = predict_rows(open_tracks(read_facts(ranking)), ranking.rows)
    (case,) = collect_alleles(source, ranking, genes, signals)
    return case.scene
