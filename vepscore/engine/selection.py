"""Which scorers a run uses: those that its checkpoint and its annotation support."""

import dataclasses
from collections.abc import Sequence

from vepscore.contract import Scorer
from vepscore.errors import UsageError
from vepscore.model.checkpoint import Checkpoint
from vepscore.outputs import Output


@dataclasses.dataclass(frozen=True, kw_only=True)
class Selection:
    """The scorers to run, and why the others are left out."""

    scorers: tuple[Scorer, ...]
    left_out: dict[str, str]  # scorer's name to the reason


def select_scorers(
    scorers: Sequence[Scorer], checkpoint: Checkpoint, *, has_genes: bool, has_polya: bool, asked_for: bool
) -> Selection:
    """Keeps the scorers that can run.

    Args:
        scorers: the candidates, in order.
        checkpoint: what predicts.
        has_genes: the run has an annotation.
        has_polya: the run has poly(A) sites.
        asked_for: the user named the scorers, so that one that cannot run is an error.

    Raises:
        UsageError: none is left, or one that was asked for cannot run.
    """
    left_out = {}
    for scorer in scorers:
        reason = _why_not(scorer, checkpoint, has_genes=has_genes, has_polya=has_polya)
        if reason:
            left_out[scorer.name] = reason
    kept = tuple(scorer for scorer in scorers if scorer.name not in left_out)
    if left_out and (asked_for or not kept):
        reasons = "\n".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise UsageError(
            f"no scores can be made of what was asked for\n{reasons}",
            hint="`vepscore weights info` lists what a checkpoint predicts",
        )
    return Selection(scorers=kept, left_out=left_out)


def needed_outputs(scorer: Scorer) -> set[Output]:
    """The outputs whose heads a scorer needs: junctions are predicted between sites that the classifier finds."""
    if scorer.output is Output.SPLICE_JUNCTIONS:
        return {Output.SPLICE_JUNCTIONS, Output.SPLICE_SITES}
    return {scorer.output}


def _why_not(scorer: Scorer, checkpoint: Checkpoint, *, has_genes: bool, has_polya: bool) -> str:
    if not needed_outputs(scorer) <= checkpoint.tracks.keys():
        return "not predicted by this checkpoint"
    if scorer.needs_genes and not has_genes:
        return "needs genes: pass --genes"
    if scorer.needs_polya and not has_polya:
        return "needs poly(A) sites: pass --polya"
    return ""
