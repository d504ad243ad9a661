"""Options are declared once: what they are called, and whether they affect scores."""

import dataclasses
from pathlib import Path

import pytest

from vepscore.engine.session import SessionInfo
from vepscore.errors import UsageError
from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.io.formats import OutputOptions
from vepscore.io.run_metadata import RunMetadata
from vepscore.options import (
    AlleleOptions,
    ComputeOptions,
    GenomeOptions,
    LogOptions,
    ModelOptions,
    RunOptions,
    SaturationOptions,
    ScorerOptions,
    WindowOptions,
)
from vepscore.options.option_spec import OptionGroup, record_command
from vepscore.options.option_types import MismatchPolicy, Organism, Parallelism, Shard, Strand, parse_window

GROUPS: tuple[type[OptionGroup], ...] = (
    GenomeOptions,
    ModelOptions,
    WindowOptions,
    AlleleOptions,
    ScorerOptions,
    ComputeOptions,
    RunOptions,
    OutputOptions,
    SaturationOptions,
    LogOptions,
)


def test_every_option_says_how_its_effect_on_scores_is_recorded() -> None:
    """An option that affects scores is recorded in the metadata, in the session, or by its own value."""
    recorded = {field.name for kind in (RunMetadata, SessionInfo) for field in dataclasses.fields(kind)}
    for group in GROUPS:
        for name, _, _, spec in group.declared():
            assert spec.help.endswith((".", ").")), name
            if spec.recorded_as:
                assert spec.affects_scores and spec.recorded_as in recorded, name


def test_no_two_options_share_a_flag() -> None:
    flags = [flag for group in GROUPS for option in group.declared() for flag in option.spec.flags]
    assert len(flags) == len(set(flags))


def test_settings_are_the_options_that_nothing_else_tells() -> None:
    assert ComputeOptions(batch=4).score_settings() == {"batch": "4", "parallelism": "data"}
    assert RunOptions().score_settings() == {}


def test_text_becomes_the_member_of_an_enumeration() -> None:
    windows = WindowOptions.build({"strand": "-", "align": 128})
    assert (windows.strand, windows.strand.sign, windows.align) == (Strand.MINUS, "-", 128)
    assert ModelOptions().changed(organism="mouse").organism is Organism.MOUSE
    assert AlleleOptions.build({"indel_anchor": None}).indel_anchor is None
    with pytest.raises(UsageError, match="--parallelism windows\n  expected one of data, sequence"):
        ComputeOptions.build({"parallelism": "windows"})


def test_official_is_three_options() -> None:
    found = AlleleOptions(official=True).resolved()
    assert found == AlleleOptions(
        as_written=True, indel_anchor=IndelAnchor.LEFT, on_ref_mismatch=MismatchPolicy.SUBSTITUTE
    )
    with pytest.raises(UsageError, match="--official --indel-anchor both"):
        AlleleOptions(official=True, indel_anchor=IndelAnchor.BOTH).resolved()


def test_quantiles_are_named_or_declined() -> None:
    with pytest.raises(UsageError, match="--quantiles and --no-quantiles"):
        ScorerOptions(quantiles=Path("q"), no_quantiles=True)


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "a/b", "1/2/3", "-1/3", ""])
def test_impossible_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected I/N"):
        Shard.parse(text)


def test_shard_is_written_as_it_is_read() -> None:
    assert Shard.parse("2/4") == Shard(2, 4) and str(Shard(2, 4)) == "2/4"


def test_window_is_a_width_or_the_default_of_the_checkpoint() -> None:
    assert (parse_window("auto"), parse_window("128kb")) == (None, 131_072)


def test_recorded_command_lacks_what_affects_no_score() -> None:
    bare = ["vepscore", "score", "in.vcf", "-r", "ref.fa", "--align", "128", "--split", "positions"]
    divided = [
        *bare[:3],
        "-o",
        "a.vcf",
        "-ob.vcf",
        "--output=c.bcf",
        "--table",
        "t.tsv",
        "--strict",
        *bare[3:],
    ]
    divided += ["--shard", "1/2", "--cluster=local:2", "--no-resume", "-q", "--json-summary", "s.json"]
    assert record_command(divided, GROUPS) == bare


def test_parallelism_was_called_split() -> None:
    (former,) = (option.spec.former for option in ComputeOptions.declared() if option.spec.former)
    assert former.flag == "--split" and set(former.values.values()) == set(Parallelism)
