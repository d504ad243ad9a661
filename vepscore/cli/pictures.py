"""Options and predictions shared by the commands that draw variants."""

import itertools
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from vepscore.cli.option_groups import changed, typer_option
from vepscore.options import ComputeOptions, GenomeOptions, ModelOptions, WindowOptions

if TYPE_CHECKING:
    from vepscore.engine.prediction import ContextPredictor
    from vepscore.report.ranking import RankedAllele
    from vepscore.report.scene import Signals

log = logging.getLogger(__name__)

NO_REFERENCE = "no reference was given (-r)"

PictureReferenceOption = Annotated[
    Path | None,
    typer_option(
        GenomeOptions,
        "reference",
        help="Reference FASTA, from which the tracks of the pictures are predicted. Default: pictures have no tracks.",
    ),
]
PICTURE_WINDOW = changed(
    "window",
    help="Width of the window in which tracks are predicted, 16kb to 1Mb. "
    "Default: auto, that of the scores; for a variant without scores, that of the checkpoint.",
)


def open_predictor(
    reference: Path,
    model: ModelOptions,
    windows: WindowOptions,
    compute: ComputeOptions,
    scores: Mapping[str, str] | None = None,
) -> "ContextPredictor":
    """Open the predictor of the tracks in pictures, with windows like those of the scores.

    Args:
        reference: the genome.
        model: the network.
        windows: the width of the windows, if the user chose one.
        compute: the device.
        scores: the header of the scores; None if there are none.

    Raises:
        VepscoreError: anything that the user can act on.
    """
    from vepscore.engine.job import Job
    from vepscore.engine.prediction import ContextPredictor
    from vepscore.engine.provenance import match_scores
    from vepscore.engine.settings import set_up_process
    from vepscore.io.run_metadata import RunMetadata

    job = Job(
        genome=GenomeOptions(reference=reference),
        model=model,
        windows=windows,
        compute=compute,
        command=("vepscore", *sys.argv[1:]),
    )
    set_up_process(compute.device)
    return ContextPredictor(match_scores(job, RunMetadata.from_header(scores) if scores else None))


def predictor_inputs(reference: Path | None, model: ModelOptions) -> list[str]:
    """Return the input files of the predictor; none without a reference."""
    if reference is None:
        return []
    from vepscore.engine.job import list_model_inputs

    return list_model_inputs(GenomeOptions(reference=reference), model)


def predict_rows(
    predictor: "ContextPredictor | None", rows: Sequence["RankedAllele"], reason: str = NO_REFERENCE
) -> Iterator["Signals"]:
    """Return the signals around each row; without a predictor, the reason why there are none."""
    from vepscore.genome.regions import VariantText

    if predictor is None:
        return itertools.repeat(reason, len(rows))
    log.info("predicting tracks (variants: %d)", len(rows))
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
