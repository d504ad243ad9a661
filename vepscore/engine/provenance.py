"""What a run was made of: the facts that every output carries in its header."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import vepscore
from vepscore.contract import Scorer
from vepscore.engine.job import Job
from vepscore.engine.preparer import AllelePreparer
from vepscore.engine.selection import ON_REQUEST
from vepscore.errors import UsageError
from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.genome.windows import parse_width
from vepscore.model.checkpoint import Checkpoint
from vepscore.paths import escape_bytes

COMMAND_KEY, SCORERS_KEY = "vepscoreCommand", "vepscoreScorers"
_WINDOW_KEY = "vepscoreWindow"
INDEL_ANCHOR_KEY = "vepscoreIndelAnchor"
_ALIGN_KEY, _STRAND_KEY, _ALLELES_KEY = "vepscoreAlign", "vepscoreStrand", "vepscoreAlleles"
_AS_WRITTEN = "as written"

# Options, and flags, that change no score: runs that differ in these alone give the same bytes.
_OUTPUTS = ("-o", "--output", "--table", "--spliceai", "--picture", "--by", "--json-summary")
_UNRECORDED = (*_OUTPUTS, "--shard", "--cluster")
_UNRECORDED_WITH_VALUE = ("-o", *(f"{name}=" for name in _UNRECORDED))
_UNRECORDED_FLAGS = ("--resume", "--no-resume", "--strict", "-v", "--verbose", "-q", "--quiet")


def describe_run(
    job: Job,
    preparer: AllelePreparer,
    checkpoint: Checkpoint,
    *,
    scorers: Sequence[Scorer],
    on_request: Sequence[str] = (),
    precision: str,
    rotary_dtype: str,
) -> dict[str, str]:
    """Key to value, in the order in which the header has them. The same run gives the same bytes.

    Args:
        job: the options.
        preparer: what prepares the alleles.
        checkpoint: what predicts.
        scorers: those of the run.
        on_request: names of scorers that could run and did not, since the checkpoint's defaults lack them.
        precision: of the network's parameters.
        rotary_dtype: of the tower's rotary tables.
    """
    facts = {
        "vepscoreVersion": vepscore.__version__,
        COMMAND_KEY: escape_bytes(shlex.join(_recorded(job.command))),
        "vepscoreCheckpoint": f"{escape_bytes(checkpoint.config.name)} sha256:{checkpoint.digest}",
        **describe_files(job, preparer),
        "vepscoreOrganism": job.organism,
        _WINDOW_KEY: f"{preparer.window_bp} bp",
        _ALIGN_KEY: f"{preparer.align_bp} bp",
        _STRAND_KEY: job.strand,
        "vepscoreOnRefMismatch": str(preparer.on_mismatch),
        _ALLELES_KEY: _AS_WRITTEN if preparer.as_written else "normalised",
        INDEL_ANCHOR_KEY: str(preparer.indel_anchor),
        "vepscorePrecision": precision,
        "vepscoreRotary": rotary_dtype,
        "vepscoreEngine": job.engine,
        SCORERS_KEY: ",".join(scorer.name for scorer in scorers),
    }
    if on_request:
        facts["vepscoreScorersNotRun"] = f"{','.join(on_request)} ({ON_REQUEST})"
    facts["vepscoreUse"] = "research; not for clinical use"
    if checkpoint.config.terms_notice:
        facts["vepscoreTerms"] = checkpoint.config.terms_notice
    return facts


def read_window(facts: Mapping[str, str]) -> int | None:
    """Return the window of a run in bp, as its facts tell it; None if they do not, or it is no such width."""
    try:
        return parse_width(facts.get(_WINDOW_KEY, "").removesuffix(" bp"))
    except UsageError:
        return None


def read_placement(facts: Mapping[str, str], window_bp: int) -> dict[str, Any]:
    """Fields of `Job` that say how windows of `window_bp` were put around alleles, as far as a run's facts tell.

    A grid that such windows cannot have is left out.
    """
    align = facts.get(_ALIGN_KEY, "").removesuffix(" bp")
    align_bp = int(align) if align.isdecimal() else 1
    return {
        "align_bp": align_bp if 1 <= align_bp <= window_bp // 4 else 1,
        "strand": "-" if facts.get(_STRAND_KEY) == "-" else "+",
        "as_written": facts.get(_ALLELES_KEY) == _AS_WRITTEN,
        "indel_anchor": _read_anchor(facts),
    }


def _read_anchor(facts: Mapping[str, str]) -> IndelAnchor | None:
    """Return what a run's facts say of indels; earlier versions had left-anchored windows only, and did not say so."""
    if not facts:
        return None
    return IndelAnchor.BOTH if facts.get(INDEL_ANCHOR_KEY) == IndelAnchor.BOTH else IndelAnchor.LEFT


def describe_files(job: Job, preparer: AllelePreparer) -> dict[str, str]:
    """Those of the facts that tell the reference and the annotation."""
    facts = {"vepscoreReference": f"{escape_bytes(job.reference.name)} sha256:{preparer.reference.digest()}"}
    if job.genes is not None and preparer.annotation is not None:
        facts["vepscoreAnnotation"] = f"{escape_bytes(job.genes.name)} sha256:{preparer.annotation.digest}"
    if job.polya is not None and preparer.polya is not None:
        facts["vepscorePolyA"] = f"{escape_bytes(job.polya.name)} sha256:{preparer.polya.digest}"
    return facts


def _recorded(command: Sequence[str]) -> list[str]:
    """The command without where its outputs go and how the work is divided."""
    kept: list[str] = []
    words = iter(command)
    for word in words:
        if word in _UNRECORDED:
            next(words, None)
        elif word not in _UNRECORDED_FLAGS and not word.startswith(_UNRECORDED_WITH_VALUE):
            kept.append(word)
    return kept
