"""A run uses the scorers that its checkpoint and its annotation support."""

import dataclasses
from collections.abc import Sequence

import pytest

from vepscore.contract import Scorer
from vepscore.engine.plugins import list_scorers, load_scorers
from vepscore.engine.selection import Selection, select_scorers
from vepscore.errors import UsageError
from vepscore.model.checkpoint import Checkpoint
from vepscore.outputs import Output

GENE_SCORERS = {
    "RNA_SEQ",
    "RNA_SEQ_ACTIVE",
    "SPLICE_SITES",
    "SPLICE_SITE_USAGE",
    "SPLICE_EVENTS",
    "SPLICE_JUNCTIONS",
    "POLYADENYLATION",
}


@pytest.fixture(scope="module")
def scorers() -> list[Scorer]:
    return load_scorers([entry.name for entry in list_scorers() if entry.is_builtin])


def select(
    scorers: Sequence[Scorer],
    checkpoint: Checkpoint,
    *,
    genes: bool = True,
    polya: bool = True,
    asked_for: bool = False,
) -> Selection:
    return select_scorers(scorers, checkpoint, has_genes=genes, has_polya=polya, asked_for=asked_for)


def without(checkpoint: Checkpoint, *outputs: Output) -> Checkpoint:
    tracks = {output: tracks for output, tracks in checkpoint.tracks.items() if output not in outputs}
    return dataclasses.replace(checkpoint, tracks=tracks)


def test_all_are_kept_in_order_where_everything_is_there(
    scorers: list[Scorer], checkpoint: Checkpoint
) -> None:
    assert select(scorers, checkpoint) == Selection(scorers=tuple(scorers), left_out={})


def test_scorers_of_genes_need_an_annotation(scorers: list[Scorer], checkpoint: Checkpoint) -> None:
    selection = select(scorers, checkpoint, genes=False, polya=False)
    assert selection.left_out == dict.fromkeys(selection.left_out, "needs genes: pass --genes")
    assert selection.left_out.keys() == GENE_SCORERS
    assert selection.scorers == tuple(scorer for scorer in scorers if scorer.name not in GENE_SCORERS)


def test_polyadenylation_needs_its_sites(scorers: list[Scorer], checkpoint: Checkpoint) -> None:
    selection = select(scorers, checkpoint, polya=False)
    assert selection.left_out == {"POLYADENYLATION": "needs poly(A) sites: pass --polya"}


def test_outputs_that_are_not_predicted_are_left_out(scorers: list[Scorer], checkpoint: Checkpoint) -> None:
    """Junctions are predicted between sites of the classifier, so they go with it."""
    selection = select(scorers, without(checkpoint, Output.SPLICE_SITES, Output.CAGE))
    assert selection.left_out == dict.fromkeys(
        ("CAGE", "CAGE_ACTIVE", "SPLICE_EVENTS", "SPLICE_JUNCTIONS", "SPLICE_SITES"),
        "not predicted by this checkpoint",
    )


def test_scorer_that_was_asked_for_and_cannot_run_is_an_error(
    scorers: list[Scorer], checkpoint: Checkpoint
) -> None:
    with pytest.raises(UsageError) as raised:
        select(scorers, without(checkpoint, Output.ATAC), polya=False, asked_for=True)
    message = str(raised.value)
    assert "ATAC: not predicted by this checkpoint" in message
    assert "POLYADENYLATION: needs poly(A) sites: pass --polya" in message
    assert "hint: `vepscore weights info`" in message


def test_no_scorer_left_is_an_error(scorers: list[Scorer], checkpoint: Checkpoint) -> None:
    of_genes = [scorer for scorer in scorers if scorer.name in GENE_SCORERS]
    with pytest.raises(UsageError, match="RNA_SEQ: needs genes: pass --genes"):
        select(of_genes, checkpoint, genes=False)
