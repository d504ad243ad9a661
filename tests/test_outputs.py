"""Test that tracks of one strand are paired with those of the other."""

import numpy as np
import pytest

from vepscore.outputs import SPLICE_CLASSES, Output, Tracks


def tracks_on(strands: str) -> Tracks:
    count = len(strands)
    empty = np.full(count, "", dtype=object)
    return Tracks(
        output=Output.CAGE,
        name=empty,
        strand=np.array(list(strands), dtype=object),
        ontology_curie=empty,
        biosample_name=empty,
        assay=empty,
        nonzero_mean=np.ones(count, np.float32),
        channel=np.arange(count, dtype=np.int32),
    )


@pytest.mark.parametrize(
    ("strands", "expected"),
    [
        ("", []),
        ("...", [0, 1, 2]),
        ("+-", [1, 0]),
        ("++--", [2, 3, 0, 1]),
        ("-+.+-", [1, 0, 2, 4, 3]),
    ],
)
def test_strand_partners_are_paired_in_order(strands: str, expected: list[int]) -> None:
    assert tracks_on(strands).strand_partners.tolist() == expected


def test_strand_partners_of_splice_classes_have_the_same_kind() -> None:
    index = tracks_on("".join(name[-1] for name in SPLICE_CLASSES)).strand_partners
    other_strand = [name[:-1] + {"+": "-", "-": "+"}[name[-1]] for name in SPLICE_CLASSES]
    assert [SPLICE_CLASSES[i] for i in index] == other_strand


def test_unequal_numbers_of_tracks_per_strand_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"^2 tracks on \+ and 1 on -$"):
        _ = tracks_on("+-.+").strand_partners
