"""Predict signals: one prediction, from its options to its files, or those around many variants, for pictures.

A region without a variant is scored as an allele that changes nothing, so that the engine has one path.
"""

import dataclasses
import difflib
import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vepscore.engine.job import Job, list_inputs, resolve_defaults
from vepscore.engine.preparer import AllelePreparer, RefusedAllele, check_within, window_text
from vepscore.engine.scoring import NotFiniteError
from vepscore.engine.session import open_preparer, open_session
from vepscore.engine.signal_scorers import SIGNALS, RegionSignal, context_window, join_pieces, read_region
from vepscore.errors import CheckpointError, InputError, UsageError
from vepscore.genome.alleles import Status
from vepscore.genome.regions import Region, VariantText, parse_region, parse_variant
from vepscore.io.atomic import check_folder, created_folder
from vepscore.io.output_paths import check_output_paths
from vepscore.io.signal_files import RegionSignals, WrittenFile, list_signal_files, write_signals
from vepscore.io.streams import STDOUT
from vepscore.model.allele_plan import ReadyAllele
from vepscore.outputs import Output, Tracks

log = logging.getLogger(__name__)

# The outputs that a picture shows, if the checkpoint predicts them.
DRAWN_OUTPUTS = (Output.SPLICE_SITES, Output.DNASE, Output.ATAC, Output.RNA_SEQ)
_SHOWN_TISSUES = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prediction:
    """What to predict."""

    place: str  # a region or a variant
    region: str | None  # a region within the variant's window; None for CONTEXT_BP around the variant
    outputs: tuple[str, ...] | None  # None for all that the checkpoint has
    tissue: str | None  # part of a biosample's name, or its ontology term; None for all


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictedSignals:
    """The signals of a prediction, and what they were made of."""

    signals: tuple[RegionSignals, ...]  # by output
    contigs: Mapping[str, int]  # length in bp of each contig that has signals
    facts: Mapping[str, str]


def predict(job: Job, prediction: Prediction, folder: Path) -> list[WrittenFile]:
    """Predict signals and write them to a folder, all files or none.

    Args:
        job: the options of the model and the window.
        prediction: what to predict, and where.
        folder: created if it does not exist.

    Raises:
        VepscoreError: anything that the user can act on.
    """
    check_folder(folder)
    check_output_paths([STDOUT, *list_signal_files(folder)], list_inputs(job))
    predicted = predict_signals(job, prediction)
    with created_folder(folder):
        return write_signals(folder, predicted.signals, predicted.contigs, predicted.facts)


def predict_signals(job: Job, prediction: Prediction) -> PredictedSignals:
    """Predict the signals of outputs over a region, of both alleles if there is a variant.

    Raises:
        VepscoreError: anything that the user can act on.
    """
    job = resolve_defaults(job)
    preparer = open_preparer(job, source=prediction.place, assembly="")
    variant = parse_variant(prediction.place)
    allele = (
        preparer.prepare_region(parse_region(prediction.place, preparer.reference, or_variant=True))
        if variant is None
        else _prepare_variant(preparer, variant)
    )
    region = _find_region(preparer, prediction, allele, is_variant=variant is not None)
    wanted = _find_outputs(prediction.outputs)
    session = open_session(
        job,
        preparer,
        scorers=read_region(region, {output: preparer.resolutions.get(output, 1) for output in wanted}),
        choose_tracks=lambda tracks: _choose_tracks(tracks, prediction, wanted),
    )
    (matrices,) = session.create_engine().score([allele])
    if isinstance(matrices, NotFiniteError):
        raise CheckpointError(f"{prediction.place}\n{matrices}", hint="try --precision float32")
    signals = tuple(
        join_pieces(
            list(pieces), region, allele.site, session.info.tracks[output], has_alternate=variant is not None
        )
        for output, pieces in itertools.groupby(matrices, lambda matrix: matrix.output)
    )
    about = {"place": prediction.place, "region": str(region), "window": window_text(allele.site.window)}
    return PredictedSignals(
        signals=signals,
        contigs={region.chrom: preparer.reference.contigs[region.chrom]},
        facts=about | session.info.metadata.to_header(),
    )


class ContextPredictor:
    """A checkpoint and a reference, ready to predict signals around many variants, one variant at a time.

    Args:
        job: the options.

    Attributes:
        info: about the checkpoint and the device.

    Raises:
        VepscoreError: anything that the user can act on.
    """

    def __init__(self, job: Job) -> None:
        job = resolve_defaults(job)
        self._preparer = open_preparer(job, source="the variants", assembly="")
        session = open_session(
            job,
            self._preparer,
            scorers=[RegionSignal(name=str(output), output=output) for output in DRAWN_OUTPUTS],
            choose_tracks=lambda tracks: {out: tracks[out] for out in DRAWN_OUTPUTS if out in tracks},
        )
        self.info = session.info
        self._engine = session.create_engine()

    def predict(self, variants: Sequence[VariantText]) -> Iterator[tuple[RegionSignals, ...] | str]:
        """Yield the signals of DRAWN_OUTPUTS around each variant, or why there are none."""
        for variant in variants:
            allele = self._preparer.prepare_variant(variant)
            if isinstance(allele, RefusedAllele):
                yield f"{allele.status}: {allele.reason}"
                continue
            (matrices,) = self._engine.score([allele])
            if isinstance(matrices, NotFiniteError):
                yield f"{Status.FAILED}: {matrices}"
                continue
            region, tracks = context_window(allele.site), self.info.tracks
            yield tuple(
                join_pieces([matrix], region, allele.site, tracks[matrix.output], has_alternate=True)
                for matrix in matrices
            )


def _prepare_variant(preparer: AllelePreparer, variant: VariantText) -> ReadyAllele:
    """Prepare the variant, or raise the reason why it cannot be scored."""
    allele = preparer.prepare_variant(variant)
    if isinstance(allele, RefusedAllele):
        raise InputError(
            f"variant {preparer.source}\n{allele.status}: {allele.reason}",
            hint="positions are 1-based, and REF is what the reference has there",
        )
    return allele


def _find_region(
    preparer: AllelePreparer, prediction: Prediction, allele: ReadyAllele, *, is_variant: bool
) -> Region:
    """Return the region to write signals of."""
    site = allele.site
    if prediction.region is not None:
        if not is_variant:
            raise UsageError(f"--region {prediction.region}\nthe region is {prediction.place} already")
        region = parse_region(prediction.region, preparer.reference)
        check_within(region, site.window, hint="choose a larger --window, or a region nearer to the variant")
        return region
    if not is_variant:
        return Region(chrom=site.allele.chrom, start0=site.allele.pos0, end0=site.allele.end0)
    around = context_window(site)
    return Region(
        chrom=around.chrom,
        start0=max(0, around.start0),
        end0=min(preparer.reference.contigs[around.chrom], around.end0),
    )


def _find_outputs(names: Sequence[str] | None) -> tuple[Output, ...]:
    """Return the outputs of these names, in the order in which a checkpoint has them."""
    if names is None:
        return SIGNALS
    unknown = [name for name in names if name.upper() not in SIGNALS]
    if unknown:
        raise UsageError(
            f"--output {', '.join(unknown)}\nexpected one of {', '.join(SIGNALS)}",
            hint="junctions have no signal along the sequence; `vepscore score -s SPLICE_JUNCTIONS` compares them",
        )
    requested = {name.upper() for name in names}
    return tuple(output for output in SIGNALS if output in requested)


def _choose_tracks(
    tracks: Mapping[Output, Tracks], prediction: Prediction, wanted: Sequence[Output]
) -> dict[Output, Tracks]:
    """Return the tracks to predict, by output.

    Raises:
        UsageError: there are none, or none of an output that was named.
    """
    missing = [output for output in wanted if output not in tracks]
    if prediction.outputs is not None and missing:
        raise UsageError(
            f"--output {', '.join(missing)}: not predicted by this checkpoint\nfound {', '.join(tracks)}",
            hint="`vepscore weights info` lists what a checkpoint predicts",
        )
    found = {output: tracks[output] for output in wanted if output in tracks}
    if prediction.tissue is None:
        return found
    chosen = {output: _of_tissue(table, prediction.tissue) for output, table in found.items()}
    if not any(len(table) and any(table.biosample_name) for table in chosen.values()):
        raise _no_tissue(prediction.tissue, found)
    without = [output for output, table in chosen.items() if not len(table)]
    if without:
        log.info("no tracks of %s: %s", prediction.tissue, ", ".join(without))
    return {output: table for output, table in chosen.items() if len(table)}


def _of_tissue(tracks: Tracks, tissue: str) -> Tracks:
    """Return the tracks of biosamples with `tissue` in their name or as their ontology term, ignoring case.

    All tracks are returned for an output without biosamples.
    """
    if not any(tracks.biosample_name):
        return tracks
    wanted = tissue.casefold()
    kept = [
        wanted in name.casefold() or wanted == term.casefold()
        for name, term in zip(tracks.biosample_name, tracks.ontology_curie, strict=True)
    ]
    columns: dict[str, Any] = {
        name: column[kept] for name, column in vars(tracks).items() if isinstance(column, np.ndarray)
    }
    return dataclasses.replace(tracks, **columns)


def _no_tissue(tissue: str, tracks: Mapping[Output, Tracks]) -> UsageError:
    names = sorted({name for table in tracks.values() for name in table.biosample_name if name})
    near = difflib.get_close_matches(tissue, names, n=_SHOWN_TISSUES, cutoff=0.4)
    shown = near or names[:_SHOWN_TISSUES]
    return UsageError(
        f"--tissue {tissue}\nno biosample of the requested outputs has that in its name or as its ontology term\n"
        f"{'nearest' if near else 'there are'}: {', '.join(shown) or 'none'}",
        hint="`vepscore weights info` lists the tracks of a checkpoint",
    )
