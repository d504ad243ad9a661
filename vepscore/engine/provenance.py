"""What a run was made of: the facts that every output carries in its header."""

import shlex
from collections.abc import Sequence

import vepscore
from vepscore.contract import Scorer
from vepscore.engine.intake import Intake
from vepscore.engine.options import Job
from vepscore.model.checkpoint import Checkpoint

COMMAND_KEY, SCORERS_KEY = "vepscoreCommand", "vepscoreScorers"

# Options, and flags, that change no score: runs that differ in these alone give the same bytes.
_OUTPUTS = ("-o", "--output", "--table", "--spliceai", "--picture", "--by", "--json-summary")
_UNRECORDED = (*_OUTPUTS, "--shard", "--cluster")
_UNRECORDED_WITH_VALUE = ("-o", *(f"{name}=" for name in _UNRECORDED))
_UNRECORDED_FLAGS = ("--resume", "--no-resume", "--strict", "-v", "--verbose", "-q", "--quiet")


def describe_run(
    job: Job,
    intake: Intake,
    checkpoint: Checkpoint,
    *,
    scorers: Sequence[Scorer],
    precision: str,
    rotary_dtype: str,
) -> dict[str, str]:
    """Key to value, in the order in which the header has them. The same run gives the same bytes."""
    facts = {
        "vepscoreVersion": vepscore.__version__,
        COMMAND_KEY: shlex.join(_recorded(job.command)),
        "vepscoreCheckpoint": f"{checkpoint.config.name} sha256:{checkpoint.digest}",
        **describe_files(job, intake),
        "vepscoreOrganism": job.organism,
        "vepscoreWindow": f"{intake.window_bp} bp",
        "vepscoreAlign": f"{intake.align_bp} bp",
        "vepscoreStrand": job.strand,
        "vepscoreOnRefMismatch": str(intake.on_mismatch),
        "vepscorePrecision": precision,
        "vepscoreRotary": rotary_dtype,
        "vepscoreEngine": job.engine,
        SCORERS_KEY: ",".join(scorer.name for scorer in scorers),
        "vepscoreUse": "research; not for clinical use",
    }
    if checkpoint.config.terms_notice:
        facts["vepscoreTerms"] = checkpoint.config.terms_notice
    return facts


def describe_files(job: Job, intake: Intake) -> dict[str, str]:
    """Those of the facts that tell the reference and the annotation."""
    facts = {"vepscoreReference": f"{job.reference.name} sha256:{intake.reference.digest()}"}
    if job.genes is not None and intake.annotation is not None:
        facts["vepscoreAnnotation"] = f"{job.genes.name} sha256:{intake.annotation.digest}"
    if job.polya is not None and intake.polya is not None:
        facts["vepscorePolyA"] = f"{job.polya.name} sha256:{intake.polya.digest}"
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
