"""What a run was made of: the facts that every output carries in its header."""

import shlex
from collections.abc import Sequence
from pathlib import Path

import vepscore
from vepscore.contract import Scorer
from vepscore.engine.intake import Intake
from vepscore.model.checkpoint import Checkpoint

COMMAND_KEY = "vepscoreCommand"

# Options, and flags, that change no score: runs that differ in these alone give the same bytes.
_UNRECORDED = ("-o", "--output", "--table", "--shard", "--cluster", "--json-summary")
_UNRECORDED_WITH_VALUE = ("-o", *(f"{name}=" for name in _UNRECORDED))
_UNRECORDED_FLAGS = ("--resume", "--no-resume", "--strict", "-v", "--verbose", "-q", "--quiet")


def describe_run(
    *,
    command: Sequence[str],
    checkpoint: Checkpoint,
    intake: Intake,
    reference: Path,
    genes: Path | None,
    polya: Path | None,
    organism: str,
    strand: str,
    scorers: Sequence[Scorer],
    precision: str,
    rotary_dtype: str,
    engine: str,
) -> dict[str, str]:
    """Key to value, in the order in which the header has them. The same run gives the same bytes."""
    facts = {
        "vepscoreVersion": vepscore.__version__,
        COMMAND_KEY: shlex.join(_recorded(command)),
        "vepscoreCheckpoint": f"{checkpoint.config.name} sha256:{checkpoint.digest}",
        "vepscoreReference": f"{reference.name} sha256:{intake.reference.digest()}",
    }
    if genes is not None and intake.annotation is not None:
        facts["vepscoreAnnotation"] = f"{genes.name} sha256:{intake.annotation.digest}"
    if polya is not None and intake.polya is not None:
        facts["vepscorePolyA"] = f"{polya.name} sha256:{intake.polya.digest}"
    facts |= {
        "vepscoreOrganism": organism,
        "vepscoreWindow": f"{intake.window_bp} bp",
        "vepscoreAlign": f"{intake.align_bp} bp",
        "vepscoreStrand": strand,
        "vepscoreOnRefMismatch": str(intake.on_mismatch),
        "vepscorePrecision": precision,
        "vepscoreRotary": rotary_dtype,
        "vepscoreEngine": engine,
        "vepscoreScorers": ",".join(scorer.name for scorer in scorers),
        "vepscoreUse": "research; not for clinical use",
    }
    if checkpoint.config.terms_notice:
        facts["vepscoreTerms"] = checkpoint.config.terms_notice
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
