"""Choose the background quantiles that a run ranks its scores in: those made with the same checkpoint and settings."""

import logging
from collections.abc import Collection
from pathlib import Path

from vepscore.contract import Scorer
from vepscore.engine.job import Job
from vepscore.engine.summary import COMPOSITE_WEIGHTS
from vepscore.errors import UsageError
from vepscore.genome.alleles import AlleleKind
from vepscore.io.fields import COMPOSITE_FIELD
from vepscore.io.quantiles import Quantiles, list_quantiles, quantiles_name, read_quantiles
from vepscore.io.run_metadata import RunMetadata, header_key
from vepscore.model.registry import resolve_checkpoint

# Fields of RunMetadata: those that must be the same, and those of which a difference changes scores, but hardly their
# distribution.
_MUST_AGREE = ("checkpoint", "organism", "window_bp", "precision")
_SHOULD_AGREE = ("align_bp", "strand")

_log = logging.getLogger(__name__)


def find_quantiles(job: Job, metadata: RunMetadata) -> Quantiles | None:
    """Find the quantiles that a run uses; None if there are none, or the run wants none.

    Args:
        job: names them; otherwise those in the checkpoint's directory are taken.
        metadata: of the run; the background must have the same checkpoint, organism, window and precision.

    Raises:
        UsageError: the quantiles that the job names are missing, or were made with other settings.
        CheckpointError: a table of quantiles is damaged.
    """
    if job.scoring.no_quantiles:
        return None
    folder = job.scoring.quantiles or resolve_checkpoint(job.model.checkpoint)
    paths = [folder] if folder.is_file() else list_quantiles(folder)
    problems: dict[Path, list[str]] = {}
    for path in paths:
        quantiles = read_quantiles(path)
        problems[path] = _compare(quantiles.metadata, metadata)
        if not problems[path]:
            _report(quantiles, metadata)
            return _match_indels(quantiles, metadata)
    if job.scoring.quantiles is not None:
        raise _no_match(folder, problems)
    for path, differences in problems.items():
        _log.info("no quantiles from %s: %s", path.name, "; ".join(differences))
    return None


def _no_match(folder: Path, problems: dict[Path, list[str]]) -> UsageError:
    if not problems:
        return UsageError(
            f"--quantiles {folder}\nfound no {quantiles_name('*', '*', '*')}, expected one",
            hint="make them with `vepscore calibrate`",
        )
    lines = [f"{path.name}: {line}" for path, differences in problems.items() for line in differences]
    return UsageError(
        "\n".join([f"--quantiles {folder}\nmade with other settings than this run's", *lines]),
        hint="score with those settings, make quantiles with these by `vepscore calibrate`, or --no-quantiles",
    )


def match_composite(quantiles: Quantiles, scorers: Collection[Scorer]) -> Quantiles:
    """Return the quantiles, without those of the composite if the run adds up other scores than the background did."""
    expected = COMPOSITE_WEIGHTS.keys() & {scorer.info_field for scorer in scorers}
    found = COMPOSITE_WEIGHTS.keys() & quantiles.known_fields
    if not expected or not found or expected == found:
        return quantiles
    _log.info(
        "no quantiles of %s: of %s in the background, of %s in this run",
        COMPOSITE_FIELD,
        ", ".join(sorted(found)),
        ", ".join(sorted(expected)),
    )
    return quantiles.without_field(COMPOSITE_FIELD)


def _match_indels(quantiles: Quantiles, metadata: RunMetadata) -> Quantiles:
    """Return the quantiles, without those of indels if the background scored these in other windows."""
    found, expected = quantiles.metadata.indel_anchor, metadata.indel_anchor
    if found == expected or AlleleKind.INDEL not in quantiles.kinds:
        return quantiles
    _log.info("no quantiles of indels: indel anchor %s in the background, %s in this run", found, expected)
    return quantiles.without_kind(AlleleKind.INDEL)


def _compare(found: RunMetadata, expected: RunMetadata) -> list[str]:
    """Describe the differences that forbid to use quantiles."""
    return [
        f"{_words(name)}: found {found.text_of(name)}, expected {expected.text_of(name)}"
        for name in _MUST_AGREE
        if found.text_of(name) != expected.text_of(name)
    ]


def _words(name: str) -> str:
    return header_key(name).removeprefix("vepscore").lower()


def _report(quantiles: Quantiles, metadata: RunMetadata) -> None:
    _log.info("quantiles: %s, %s", quantiles.name, quantiles.alleles)
    for name in _SHOULD_AGREE:
        if getattr(quantiles.metadata, name) != getattr(metadata, name):
            found, expected = quantiles.metadata.text_of(name), metadata.text_of(name)
            _log.warning(
                "the background was scored with %s %s, this run with %s", _words(name), found, expected
            )
    for kind in AlleleKind:
        if kind not in quantiles.kinds:
            _log.info("no quantiles of %ss: the background has none", kind)
    missing = [name for name in metadata.scorers if name not in quantiles.scorers]
    if missing:
        _log.info("no quantiles of %s: the background has no scores of them", ", ".join(missing))
