"""What commands that draw variants share: where the tracks of their pictures come from."""

import itertools
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vepscore.cli.option_groups import AUTO, DATA, MODEL, Device, Organism, find_window

if TYPE_CHECKING:
    from vepscore.engine.context import ContextPredictor
    from vepscore.report.document import Signals
    from vepscore.report.ranking import RankedAllele

log = logging.getLogger(__name__)

NO_REFERENCE = "no reference was given (-r)"

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
    typer.Option(
        help="Window of the tracks in the pictures: 16kb to 1Mb. "
        "Default: auto, that of the scores; for a variant without scores the checkpoint's own.",
        show_default=False,
        rich_help_panel=MODEL,
    ),
]


def open_predictor(
    reference: Path,
    checkpoint: str | None,
    metadata: Path | None,
    organism: Organism,
    window: str,
    precision: str | None,
    device: Device,
    scores: Mapping[str, str] | None = None,
) -> "ContextPredictor":
    """Open what predicts the tracks of pictures, as the scores were made if `scores`, their provenance, tells it.

    Raises:
        VepscoreError: anything that the user can act on.
    """
    from vepscore.engine.context import ContextPredictor
    from vepscore.engine.job import Job
    from vepscore.engine.provenance import read_placement, read_window
    from vepscore.engine.settings import set_up_process

    scored_bp = read_window(scores or {}) if window == AUTO else None
    window_bp = scored_bp or find_window(window, checkpoint)
    set_up_process(device)
    return ContextPredictor(
        Job(
            reference=reference,
            genes=None,
            checkpoint=checkpoint,
            metadata=metadata,
            organism=organism,
            window_bp=window_bp,
            **read_placement(scores or {}, window_bp),
            scorers=None,
            precision=precision,
            rotary="auto",
            device=device,
            batch=1,
            split="windows",
            command=("vepscore", *sys.argv[1:]),
        )
    )


def predictor_inputs(reference: Path | None, checkpoint: str | None, metadata: Path | None) -> list[str]:
    """Return the files that the tracks of pictures are predicted from; none without a reference."""
    if reference is None:
        return []
    from vepscore.engine.job import list_model_inputs

    return list_model_inputs(reference, checkpoint, metadata)


def predict_rows(
    predictor: "ContextPredictor | None", rows: Sequence["RankedAllele"], reason: str = NO_REFERENCE
) -> Iterator["Signals"]:
    """The signals around each row; without a predictor the reason why there are none."""
    from vepscore.genome.regions import VariantText

    if predictor is None:
        return itertools.repeat(reason, len(rows))
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
