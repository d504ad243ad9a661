"""A run uses the scorers that its checkpoint and its annotation support."""

import dataclasses
from collections.abc import Iterable, Sequence

import pytest

from vepscore.contract import Scorer
from vepscore.engine.scorer_plugins import list_scorers, load_scorers
from vepscore.engine.selection import (
    ON_REQUEST,
    Choice,
    Selection,
    choose_scorers,
    select_scorers,
)
from vepscore.errors import UsageError
from vepscore.model.checkpoint import Checkpoint
from vepscore.outputs import Output
from vepscore.scorers.contact_maps import ContactMaps

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
    builtin = load_scorers([entry.name for entry in list_scorers() if entry.is_builtin])
    return [scorer for scorer in builtin if not scorer.by_name_only]


def select(
    scorers: Sequence[Scorer],
    checkpoint: Checkpoint,
    *,
    genes: bool = True,
    polya: bool = True,
    required: Sequence[str] = (),
) -> Selection:
    choice = Choice(scorers=tuple(scorers), required=frozenset(required))
    return select_scorers(choice, checkpoint, has_genes=genes, has_polya=polya)


def without(checkpoint: Checkpoint, *outputs: Output) -> Checkpoint:
    tracks = {output: tracks for output, tracks in checkpoint.tracks.items() if output not in outputs}
    return dataclasses.replace(checkpoint, tracks=tracks)


def test_all_scorers_are_kept_in_order_if_nothing_is_missing(
    scorers: list[Scorer], checkpoint: Checkpoint
) -> None:
    assert select(scorers, checkpoint) == Selection(scorers=tuple(scorers), excluded={})


def test_scorers_of_genes_need_an_annotation(scorers: list[Scorer], checkpoint: Checkpoint) -> None:
    selection = select(scorers, checkpoint, genes=False, polya=False)
    assert selection.excluded == dict.fromkeys(selection.excluded, "needs genes: pass --genes")
    assert selection.excluded.keys() == GENE_SCORERS
    assert selection.scorers == tuple(scorer for scorer in scorers if scorer.name not in GENE_SCORERS)


def test_polyadenylation_needs_its_sites(scorers: list[Scorer], checkpoint: Checkpoint) -> None:
    selection = select(scorers, checkpoint, polya=False)
    assert selection.excluded == {"POLYADENYLATION": "needs poly(A) sites: pass --polya"}


def test_outputs_that_are_not_predicted_are_excluded(scorers: list[Scorer], checkpoint: Checkpoint) -> None:
    """Junctions are predicted between classified sites, so they are excluded with the classifier."""
    selection = select(scorers, without(checkpoint, Output.SPLICE_SITES, Output.CAGE))
    assert selection.excluded == dict.fromkeys(
        ("CAGE", "CAGE_ACTIVE", "SPLICE_EVENTS", "SPLICE_JUNCTIONS", "SPLICE_SITES"),
        "not predicted by this checkpoint",
    )


def test_requested_scorer_that_cannot_run_is_an_error(scorers: list[Scorer], checkpoint: Checkpoint) -> None:
    with pytest.raises(UsageError) as raised:
        select(
            scorers,
            without(checkpoint, Output.ATAC, Output.DNASE),
            polya=False,
            required=["ATAC", "CAGE", "POLYADENYLATION"],
        )
    message = str(raised.value)
    assert "ATAC: not predicted by this checkpoint" in message
    assert "POLYADENYLATION: needs poly(A) sites: pass --polya" in message
    assert "hint: `vepscore weights info`" in message
    assert "DNASE" not in message and "CAGE" not in message


def test_no_scorer_left_is_an_error(scorers: list[Scorer], checkpoint: Checkpoint) -> None:
    of_genes = [scorer for scorer in scorers if scorer.name in GENE_SCORERS]
    with pytest.raises(UsageError, match="RNA_SEQ: needs genes: pass --genes"):
        select(of_genes, checkpoint, genes=False)


def names(scorers: Iterable[Scorer]) -> list[str]:
    return [scorer.name for scorer in scorers]


def test_scorers_that_the_checkpoint_names_are_the_default(checkpoint: Checkpoint) -> None:
    choice = choose_scorers(None, ["SPLICE_SITES", "CAGE"])
    selection = select_scorers(choice, without(checkpoint, Output.PROCAP), has_genes=True, has_polya=False)
    assert names(selection.scorers) == ["SPLICE_SITES", "CAGE"]
    assert {"ATAC", "RNA_SEQ", "SPLICE_EVENTS"} <= set(selection.on_request)
    assert selection.excluded["ATAC"] == ON_REQUEST
    assert selection.excluded["PROCAP"] == "not predicted by this checkpoint"
    assert selection.excluded["POLYADENYLATION"] == "needs poly(A) sites: pass --polya"
    assert not {"SPLICE_SITES", "CAGE", "PROCAP", "POLYADENYLATION"} & set(selection.on_request)


def test_all_scorers_run_where_the_checkpoint_names_none(scorers: list[Scorer]) -> None:
    assert set(names(scorers)) <= set(names(choose_scorers(None, None).scorers))


def test_all_runs_what_the_checkpoint_does_not_name(scorers: list[Scorer]) -> None:
    choice = choose_scorers(["all"], ["SPLICE_SITES"])
    assert set(names(scorers)) <= set(names(choice.scorers)) and not choice.required


def test_scorers_by_name_only_run_where_they_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ContactMaps, "by_name_only", True)
    for named, defaults in ((["all"], ["CAGE"]), (["all"], None), (None, None), (None, ["CAGE"])):
        choice = choose_scorers(named, defaults)
        assert "CONTACT_MAPS" not in names([*choice.scorers, *choice.others])
    of_checkpoint = ["CONTACT_MAPS"]
    for named, defaults in ((["all", "CONTACT_MAPS"], None), (["all"], of_checkpoint), (None, of_checkpoint)):
        assert names(choose_scorers(named, defaults).scorers).count("CONTACT_MAPS") == 1


def test_scorer_named_beside_all_must_run(checkpoint: Checkpoint) -> None:
    choice = choose_scorers(["all", "POLYADENYLATION"], None)
    with pytest.raises(UsageError, match="POLYADENYLATION: needs poly"):
        select_scorers(choice, checkpoint, has_genes=True, has_polya=False)


def test_named_scorers_take_the_place_of_the_defaults() -> None:
    choice = choose_scorers(["CAGE"], ["SPLICE_SITES"])
    assert (names(choice.scorers), choice.required, choice.others) == (["CAGE"], {"CAGE"}, ())


def test_default_that_is_not_installed_is_excluded_with_a_warning(
    checkpoint: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    choice = choose_scorers(None, ["OF_A_PLUGIN", "SPLICE_SITES"])
    selection = select_scorers(choice, checkpoint, has_genes=True, has_polya=False)
    assert names(selection.scorers) == ["SPLICE_SITES"]
    assert selection.excluded["OF_A_PLUGIN"] == "is not installed"
    assert "default scorers of the checkpoint that are not installed: OF_A_PLUGIN" in caplog.text


def test_defaults_that_cannot_run_say_what_can(checkpoint: Checkpoint) -> None:
    with pytest.raises(UsageError) as caught:
        select_scorers(choose_scorers(None, ["SPLICE_SITES"]), checkpoint, has_genes=False, has_polya=False)
    assert str(caught.value).splitlines() == [
        "the checkpoint's default scorers cannot run",
        "  SPLICE_SITES: needs genes: pass --genes",
        "  hint: pass the files that they need; or name others with -s, or -s all for every scorer that can run",
    ]
