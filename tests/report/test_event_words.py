"""Test the sentence that describes each kind of event."""

import pytest

from tests.report.splice_changes import GENES, acceptor, donor
from vepscore.report.events import JunctionChange, SiteChange, call_event, describe_event


@pytest.mark.parametrize(
    ("changes", "junctions", "words"),
    [
        (
            [acceptor(2000, -0.8)],
            [JunctionChange(1100, 3000, 2.125), JunctionChange(1100, 2000, 1.5)],
            "exon skipping: exon 2001-2120, 120 bp; acceptor loss -0.80 at 2001; "
            "junction 1101-3000 |ln fold change| 2.12",
        ),
        (
            [acceptor(2000, -0.5), donor(3089, -0.6)],
            [],
            "exon skipping: 2 exons 2001-3090, 1,090 bp; donor loss -0.60 at 3090, acceptor loss -0.50 at 2001",
        ),
        ([donor(1099, -0.9)], [], "intron retention: intron 1101-2000, 900 bp; donor loss -0.90 at 1100"),
        (
            [donor(2119, -0.4), donor(2109, 0.9)],
            [],
            "cryptic donor: exon 10 bp shorter, 2001-2110; donor gain +0.90 at 2110, donor loss -0.40 at 2120",
        ),
        (
            [acceptor(1990, 0.5)],
            [],
            "cryptic acceptor: exon 10 bp longer, 1991-2120; acceptor gain +0.50 at 1991; "
            "10 bp from the nearest exon",
        ),
        (
            [donor(2700, 0.5)],
            [],
            "cryptic donor: not near an annotated exon; no partner site found; donor gain +0.50 at 2701; "
            "300 bp from the nearest exon",
        ),
        (
            [donor(2600, 0.5)],
            [JunctionChange(2120, 2501, 1)],
            "pseudoexon: 2502-2601, 100 bp with an existing acceptor at 2502; donor gain +0.50 at 2601; "
            "junction 2121-2501 |ln fold change| 1.00; 400 bp from the nearest exon",
        ),
        (
            [donor(2500, -0.9)],
            [],
            "no event: no annotated site lost, no new site gained; donor loss -0.90 at 2501; "
            "381 bp from the nearest exon",
        ),
        ([donor(2119, -0.1)], [], "no event"),
    ],
)
def test_words(changes: list[SiteChange], junctions: list[JunctionChange], words: str) -> None:
    assert describe_event(call_event(changes, GENES["+"], junctions)) == words
