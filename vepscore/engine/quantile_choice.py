"""Which background quantiles a run ranks its scores in: those that were made with the same checkpoint and settings."""

import logging
from collections.abc import Collection, Mapping

from vepscore.contract import Scorer
from vepscore.engine.job import Job
from vepscore.engine.provenance import INDEL_ANCHOR_KEY
from vepscore.engine.summary import COMPOSITE_WEIGHTS
from vepscore.errors import UsageError
from vepscore.genome.alleles import AlleleKind
from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.io.fields import COMPOSITE_FIELD
from vepscore.io.quantiles import Quantiles, list_quantiles, quantiles_name, read_quantiles
from vepscore.model.registry import resolve_checkpoint

QUANTILES_KEY = "vepscoreQuantiles"  # of the provenance

_SAME = ("vepscoreCheckpoint", "vepscoreOrganism", "vepscoreWindow", "vepscorePrecision")
_BETTER_SAME = (
    "vepscoreAlign",
    "vepscoreStrand",
)  # of scores that differ, but not in how they are distributed
_log = logging.getLogger(__name__)


def find_quantiles(job: Job, provenance: Mapping[str, str]) -> Quantiles | None:
    """The quantiles that a run uses; None where there are none, or they are not wanted.

    Args:
        job: names them, or else takes those that lie in the checkpoint's directory.
        provenance: of the run; its checkpoint, organism, window and precision must be those of the background.

    Raises:
        UsageError: the job names quantiles that are not there or were made with other settings.
        CheckpointError: a table of quantiles is damaged.
    """
    if not job.use_quantiles or job.background is not None:
        return None
    is_asked_for = job.quantiles is not None
    place = job.quantiles if is_asked_for else resolve_checkpoint(job.checkpoint)
    paths = [place] if place.is_file() else list_quantiles(place)
    if not paths:
        if is_asked_for:
            raise UsageError(
                f"--quantiles {place}\nfound no {quantiles_name('*', '*', '*')}, expected one",
                hint="make them with `vepscore calibrate`",
            )
        return None
    problems = []
    for path in paths:
        quantiles = read_quantiles(path)
        differences = _compare(quantiles, provenance)
        if not differences:
            _report(quantiles, provenance)
            return _match_indels(quantiles, provenance)
        problems.append((path, differences))
    if is_asked_for:
        lines = [f"{path.name}: {difference}" for path, differences in problems for difference in differences]
        raise UsageError(
            "\n".join([f"--quantiles {place}\nmade with other settings than this run's", *lines]),
            hint="score with those settings, make quantiles with these by `vepscore calibrate`, or --no-quantiles",
        )
    for path, differences in problems:
        _log.info("no quantiles from %s: %s", path.name, "; ".join(differences))
    return None


def match_composite(quantiles: Quantiles, scorers: Collection[Scorer]) -> Quantiles:
    """The quantiles, without the composite's where it has other parts in the run than in the background."""
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


def _match_indels(quantiles: Quantiles, provenance: Mapping[str, str]) -> Quantiles:
    """Return the quantiles, without those of indels where these were scored in other windows than in this run."""
    found, expected = (
        facts.get(INDEL_ANCHOR_KEY, IndelAnchor.LEFT) for facts in (quantiles.facts, provenance)
    )
    if found == expected or AlleleKind.INDEL not in quantiles.kinds:
        return quantiles
    _log.info("no quantiles of indels: indel anchor %s in the background, %s in this run", found, expected)
    return quantiles.without_kind(AlleleKind.INDEL)


def _compare(quantiles: Quantiles, provenance: Mapping[str, str]) -> list[str]:
    """What differs of that which must not."""
    return [
        f"{key.removeprefix('vepscore').lower()}: found {found}, expected {provenance[key]}"
        for key in _SAME
        if (found := quantiles.facts.get(key, "none")) != provenance[key]
    ]


def _report(quantiles: Quantiles, provenance: Mapping[str, str]) -> None:
    _log.info("quantiles: %s, %s", quantiles.name, quantiles.alleles)
    for key in _BETTER_SAME:
        if (found := quantiles.facts.get(key, "none")) != provenance[key]:
            setting = key.removeprefix("vepscore").lower()
            _log.warning(
                "the background was scored with %s %s, this run with %s", setting, found, provenance[key]
            )
    for kind in AlleleKind:
        if kind not in quantiles.kinds:
            _log.info("no quantiles of %ss: the background has none", kind)
    missing = [name for name in provenance["vepscoreScorers"].split(",") if name not in quantiles.scorers]
    if missing:
        _log.info("no quantiles of %s: the background has no scores of them", ", ".join(missing))
