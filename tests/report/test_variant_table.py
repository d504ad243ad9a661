"""A truth table of what substitutions, insertions and deletions do, every kind of event on both strands.

exons   1000-1100   2000-2120   3000-3090   4000-4500     0-based, half-open
plus    donors 1099 2119 3089, acceptors 2000 3000 4000; GT follows a donor, AG comes before an acceptor
minus   donors 4000 3000 2000, acceptors 3089 2119 1099; read leftwards

The places of sites are worked out by hand from the variant, in the reference's coordinates: a site within bases that
are inserted after p is at p; one that is deleted is lost where it was; others stay where they are, on either side.
"""

import pytest

from tests.report.splice_changes import CRYPTIC, GENES, NONE, PSEUDOEXON, RETAINED, SKIPPED, acceptor, donor
from vepscore.report.events import EventKind, SiteChange, call_event

SNV, INSERTION, DELETION = "SNV", "insertion", "deletion"

# strand, variant, its bases → changes of sites → kind, region, change of the exon's length, distance from an exon
TABLE = [
    # Exon skipping: the AG of 2000 is at 1998 and 1999.
    ("+", SNV, "1999", [acceptor(2000, -0.8)], SKIPPED, (2000, 2120), None, 0),
    ("+", INSERTION, "after 1998", [acceptor(2000, -0.8)], SKIPPED, (2000, 2120), None, 0),
    ("+", DELETION, "1995-2010", [acceptor(2000, -1)], SKIPPED, (2000, 2120), None, 0),
    # On the minus strand that of 3089 is at 3091 and 3090.
    ("-", SNV, "3090", [acceptor(3089, -0.8)], SKIPPED, (3000, 3090), None, 0),
    ("-", INSERTION, "after 3090", [acceptor(3089, -0.8)], SKIPPED, (3000, 3090), None, 0),
    ("-", DELETION, "3080-3095", [acceptor(3089, -1)], SKIPPED, (3000, 3090), None, 0),
    # Donor, longer: the GT of 2119 at 2120 and 2121 breaks. 2132 - 2120 = 12; the inserted donor is at 2120 itself.
    ("+", SNV, "2120", [donor(2119, -0.9), donor(2131, 0.4)], CRYPTIC, (2000, 2132), 12, 0),
    ("+", INSERTION, "after 2120", [donor(2119, -0.9), donor(2120, 0.5)], CRYPTIC, (2000, 2121), 1, 0),
    ("+", DELETION, "2121-2124", [donor(2119, -0.9), donor(2131, 0.4)], CRYPTIC, (2000, 2132), 12, 0),
    # That of 3000, at 2999 and 2998. 3000 - 2988 = 12.
    ("-", SNV, "2999", [donor(3000, -0.9), donor(2988, 0.4)], CRYPTIC, (2988, 3090), 12, 0),
    ("-", INSERTION, "after 2998", [donor(3000, -0.9), donor(2998, 0.5)], CRYPTIC, (2998, 3090), 2, 0),
    ("-", DELETION, "2995-2998", [donor(3000, -0.9), donor(2988, 0.4)], CRYPTIC, (2988, 3090), 12, 0),
    # Donor, shorter: a GT at 2105 and 2106; one in the insertion; one that follows the base before the deletion.
    ("+", SNV, "2105", [donor(2119, -0.5), donor(2104, 0.6)], CRYPTIC, (2000, 2105), -15, 0),
    ("+", INSERTION, "after 2099", [donor(2119, -0.4), donor(2099, 0.6)], CRYPTIC, (2000, 2100), -20, 0),
    ("+", DELETION, "2110-2130", [donor(2119, -1), donor(2109, 0.5)], CRYPTIC, (2000, 2110), -10, 0),
    # A GT at 3014 and 3013; the base that comes before the deleted ones on this strand is 3010, right of them.
    ("-", SNV, "3014", [donor(3000, -0.5), donor(3015, 0.6)], CRYPTIC, (3015, 3090), -15, 0),
    ("-", INSERTION, "after 3019", [donor(3000, -0.4), donor(3019, 0.6)], CRYPTIC, (3019, 3090), -19, 0),
    ("-", DELETION, "2990-3009", [donor(3000, -1), donor(3010, 0.5)], CRYPTIC, (3010, 3090), -10, 0),
    # Acceptor, longer: an AG at 1988 and 1989, 10 bp before the exon; one in the insertion, 21 bp before it. With the
    # exon's own AG deleted, the stronger change is the loss within the exon.
    ("+", SNV, "1988", [acceptor(1990, 0.5)], CRYPTIC, (1990, 2120), 10, 10),
    ("+", INSERTION, "after 1979", [acceptor(1979, 0.6)], CRYPTIC, (1979, 2120), 21, 21),
    ("+", DELETION, "1992-1999", [acceptor(2000, -0.9), acceptor(1990, 0.5)], CRYPTIC, (1990, 2120), 10, 0),
    # An AG at 3101 and 3100.
    ("-", SNV, "3101", [acceptor(3099, 0.5)], CRYPTIC, (3000, 3100), 10, 10),
    ("-", INSERTION, "after 3110", [acceptor(3110, 0.6)], CRYPTIC, (3000, 3111), 21, 21),
    ("-", DELETION, "3090-3097", [acceptor(3089, -0.9), acceptor(3099, 0.5)], CRYPTIC, (3000, 3100), 10, 0),
    # Acceptor, shorter: an AG at 2013 and 2014; the base after the deletion is 2011.
    ("+", SNV, "2014", [acceptor(2000, -0.3), acceptor(2015, 0.6)], CRYPTIC, (2015, 2120), -15, 0),
    ("+", INSERTION, "after 2009", [acceptor(2000, -0.4), acceptor(2009, 0.6)], CRYPTIC, (2009, 2120), -9, 0),
    ("+", DELETION, "1995-2010", [acceptor(2000, -1), acceptor(2011, 0.5)], CRYPTIC, (2011, 2120), -11, 0),
    # An AG at 3076 and 3075; the base after the deletion is on this strand 3079, left of it.
    ("-", SNV, "3075", [acceptor(3089, -0.3), acceptor(3074, 0.6)], CRYPTIC, (3000, 3075), -15, 0),
    ("-", INSERTION, "after 3079", [acceptor(3089, -0.4), acceptor(3079, 0.6)], CRYPTIC, (3000, 3080), -10, 0),
    ("-", DELETION, "3080-3100", [acceptor(3089, -1), acceptor(3079, 0.5)], CRYPTIC, (3000, 3080), -10, 0),
    # Pseudoexon of 100 bp with a new donor: 2600 is 481 bp from 2119 and 400 from 3000; a GT comes after it.
    ("+", SNV, "2601", [donor(2600, 0.5), acceptor(2501, 0.3)], PSEUDOEXON, (2501, 2601), None, 400),
    ("+", INSERTION, "after 2600", [donor(2600, 0.5), acceptor(2501, 0.3)], PSEUDOEXON, (2501, 2601), None, 400),
    ("+", DELETION, "2601-2604", [donor(2600, 0.5), acceptor(2501, 0.3)], PSEUDOEXON, (2501, 2601), None, 400),
    # 2501 is 382 bp from 2119 and 499 from 3000.
    ("-", SNV, "2500", [donor(2501, 0.5), acceptor(2600, 0.3)], PSEUDOEXON, (2501, 2601), None, 382),
    ("-", INSERTION, "after 2501", [donor(2501, 0.5), acceptor(2600, 0.3)], PSEUDOEXON, (2501, 2601), None, 382),
    ("-", DELETION, "2497-2500", [donor(2501, 0.5), acceptor(2600, 0.3)], PSEUDOEXON, (2501, 2601), None, 382),
    # Intron retention: the first exon's donor, whose GT is at 1100 and 1101.
    ("+", SNV, "1100", [donor(1099, -0.9)], RETAINED, (1100, 2000), None, 0),
    ("+", INSERTION, "after 1100", [donor(1099, -0.9)], RETAINED, (1100, 2000), None, 0),
    ("+", DELETION, "1100-1103", [donor(1099, -0.9)], RETAINED, (1100, 2000), None, 0),
    # At 3999 and 3998.
    ("-", SNV, "3999", [donor(4000, -0.9)], RETAINED, (3090, 4000), None, 0),
    ("-", INSERTION, "after 3998", [donor(4000, -0.9)], RETAINED, (3090, 4000), None, 0),
    ("-", DELETION, "3996-3999", [donor(4000, -0.9)], RETAINED, (3090, 4000), None, 0),
    # Nothing: the strongest changes are weak, wherever they are.
    ("+", SNV, "2500", [donor(2499, 0.1), acceptor(3000, -0.15)], NONE, None, None, None),
    ("+", INSERTION, "after 2500", [donor(2500, 0.19), donor(2119, -0.1)], NONE, None, None, None),
    ("+", DELETION, "2500-2503", [acceptor(2504, 0.1), donor(2119, -0.19)], NONE, None, None, None),
    ("-", SNV, "2500", [donor(2501, 0.1), acceptor(2119, -0.15)], NONE, None, None, None),
    ("-", INSERTION, "after 2500", [donor(2500, 0.19), donor(3000, -0.1)], NONE, None, None, None),
    ("-", DELETION, "2500-2503", [acceptor(2499, 0.1), donor(3000, -0.19)], NONE, None, None, None),
]  # fmt: skip


def outcome(
    kind: EventKind, region: tuple[int, int] | None, change_bp: int | None, changes: list[SiteChange]
) -> str:
    """The event, and for a cryptic site which and which way."""
    if kind is not CRYPTIC:
        return kind
    return f"{changes[-1].site} {'longer' if change_bp > 0 else 'shorter'}"


@pytest.mark.parametrize(
    ("strand", "changes", "kind", "region", "exon_change_bp", "distance_bp"),
    [
        pytest.param(
            strand, *expected, id=f"{outcome(*expected[1:4], expected[0])} by {variant} {bases} ({strand})"
        )
        for strand, variant, bases, *expected in TABLE
    ],
)
def test_event_of_variant(
    strand: str,
    changes: list[SiteChange],
    kind: EventKind,
    region: tuple[int, int] | None,
    exon_change_bp: int | None,
    distance_bp: int | None,
) -> None:
    call = call_event(changes, GENES[strand])
    assert (call.kind, call.region, call.exon_change_bp, call.distance_bp) == (
        kind,
        region,
        exon_change_bp,
        distance_bp,
    )
    assert call.exons == (1 if kind is SKIPPED else 0)
    if kind is PSEUDOEXON:
        assert call.region.length_bp == 100


def test_table_has_every_kind_of_event_variant_and_strand() -> None:
    outcomes = {outcome(kind, region, bp, changes) for _, _, _, changes, kind, region, bp, _ in TABLE}
    found = {(row[0], row[1], outcome(*row[4:7], row[3])) for row in TABLE}
    assert len(outcomes) == 8
    assert len(found) == len(TABLE) == 2 * 3 * 8
