"""A truth table of the event calls, on both strands of the gene in `splice_changes`."""

import dataclasses

import pytest

from tests.report.splice_changes import (
    CRYPTIC,
    EXONS,
    GENES,
    NONE,
    PSEUDOEXON,
    RETAINED,
    SKIPPED,
    acceptor,
    donor,
)
from vepscore.report.events import (
    DONOR,
    EventKind,
    JunctionChange,
    SiteChange,
    call_event,
    describe_event,
)
from vepscore.report.gene_model import GeneModel, Interval

# what is seen → kind, region, change of the exon's length, distance of the leading change from an exon
PLUS = {
    "acceptor lost": ([acceptor(2000, -0.8)], SKIPPED, (2000, 2120), None, 0),
    "donor lost": ([donor(3089, -0.3)], SKIPPED, (3000, 3090), None, 0),
    "both sites of an exon lost": ([acceptor(2000, -0.5), donor(2119, -0.6)], SKIPPED, (2000, 2120), None, 0),
    "two exons lost": ([acceptor(2000, -0.5), donor(3089, -0.6)], SKIPPED, (2000, 3090), None, 0),
    "sites of far exons": ([donor(1099, -0.5), acceptor(3000, -0.6)], SKIPPED, (3000, 3090), None, 0),
    "both sites of an intron": ([donor(2119, -0.5), acceptor(3000, -0.6)], RETAINED, (2120, 3000), None, 0),
    "first exon's donor lost": ([donor(1099, -0.9)], RETAINED, (1100, 2000), None, 0),
    "last exon's acceptor lost": ([acceptor(4000, -0.9)], RETAINED, (3090, 4000), None, 0),
    "first exon's donor moved": ([donor(1099, -0.9), donor(1109, 0.3)], CRYPTIC, (1000, 1110), 10, 0),
    "donor moved outwards": ([donor(2119, -0.9), donor(2131, 0.4)], CRYPTIC, (2000, 2132), 12, 0),
    "donor moved inwards": ([donor(2119, -0.4), donor(2109, 0.9)], CRYPTIC, (2000, 2110), -10, 0),
    "gain too weak to stand in": ([donor(2119, -0.9), donor(2131, 0.1)], SKIPPED, (2000, 2120), None, 0),
    "gain too far to stand in": ([donor(2119, -0.9), donor(2720, 0.4)], SKIPPED, (2000, 2120), None, 0),
    "acceptor gained before an exon": ([acceptor(1990, 0.5)], CRYPTIC, (1990, 2120), 10, 10),
    "acceptor gained in an exon": ([acceptor(2030, 0.5)], CRYPTIC, (2030, 2120), -30, 0),
    "donor gained in an exon": ([donor(3050, 0.5), acceptor(3000, -0.3)], CRYPTIC, (3000, 3051), -39, 0),
    "donor gained in the last exon": ([donor(4200, 0.5)], CRYPTIC, None, None, 0),
    "pseudoexon": ([donor(2600, 0.5), acceptor(2501, 0.3)], PSEUDOEXON, (2501, 2601), None, 400),
    "pseudoexon by its acceptor": (
        [donor(2600, 0.3), acceptor(2501, 0.5)],
        PSEUDOEXON,
        (2501, 2601),
        None,
        382,
    ),
    "latent site": ([donor(2600, 0.5), acceptor(2501, 0.06)], PSEUDOEXON, (2501, 2601), None, 400),
    "pair with weak loss": (
        [donor(2600, 0.9), acceptor(2501, 0.8), acceptor(3000, -0.3)],
        PSEUDOEXON,
        (2501, 2601),
        None,
        400,
    ),
    "pair with strong loss": (
        [donor(2500, 0.3), acceptor(2401, 0.3), acceptor(3000, -0.9)],
        SKIPPED,
        (3000, 3090),
        None,
        0,
    ),
    "20 bp are an exon": ([donor(2700, 0.5), acceptor(2681, 0.4)], PSEUDOEXON, (2681, 2701), None, 300),
    "19 bp are none": ([donor(2700, 0.5), acceptor(2682, 0.4)], CRYPTIC, None, None, 300),
    "500 bp are an exon": ([donor(2700, 0.5), acceptor(2201, 0.4)], PSEUDOEXON, (2201, 2701), None, 300),
    "501 bp are none": ([donor(2700, 0.5), acceptor(2200, 0.4)], CRYPTIC, None, None, 300),
    "pair in the wrong order": ([donor(2640, 0.5), acceptor(2700, 0.4)], CRYPTIC, None, None, 360),
    "pair on either side of an exon": (
        [donor(3100, 0.5), acceptor(2990, 0.4)],
        CRYPTIC,
        (3000, 3101),
        11,
        11,
    ),
    "deep, without a partner": ([donor(2700, 0.5)], CRYPTIC, None, None, 300),
    "nothing": ([], NONE, None, None, None),
    "all weak": ([donor(2119, -0.19), donor(2131, 0.1)], NONE, None, None, None),
    "other place lost": ([donor(2500, -0.9)], NONE, None, None, 381),
    "annotated site gained": ([donor(2119, 0.5)], NONE, None, None, 0),
    # 2110-2130 are deleted, and the bases before them make a donor: that of the anchor, 2109
    "deletion of a donor": ([donor(2119, -1), donor(2109, 0.5)], CRYPTIC, (2000, 2110), -10, 0),
    # 1995-2010 are deleted
    "deletion of an acceptor": ([acceptor(2000, -1)], SKIPPED, (2000, 2120), None, 0),
    # an acceptor and a donor within the bases inserted after 2500 have that position both
    "insertion of an exon": ([donor(2500, 0.9), acceptor(2500, 0.9)], CRYPTIC, (2000, 2501), 381, 381),
    # the bases inserted after 2140 hold a donor
    "insertion of a donor": ([donor(2140, 0.9)], CRYPTIC, (2000, 2141), 21, 21),
}
MINUS = {
    "donor lost": ([donor(3000, -0.8)], SKIPPED, (3000, 3090), None, 0),
    "acceptor lost": ([acceptor(2119, -0.8)], SKIPPED, (2000, 2120), None, 0),
    "both sites of an exon lost": ([acceptor(3089, -0.5), donor(3000, -0.6)], SKIPPED, (3000, 3090), None, 0),
    "two exons lost": ([acceptor(3089, -0.5), donor(2000, -0.6)], SKIPPED, (2000, 3090), None, 0),
    "both sites of an intron": ([donor(3000, -0.5), acceptor(2119, -0.6)], RETAINED, (2120, 3000), None, 0),
    "first exon's donor lost": ([donor(4000, -0.9)], RETAINED, (3090, 4000), None, 0),
    "last exon's acceptor lost": ([acceptor(1099, -0.9)], RETAINED, (1100, 2000), None, 0),
    "donor moved outwards": ([donor(3000, -0.9), donor(2988, 0.4)], CRYPTIC, (2988, 3090), 12, 0),
    "donor gained in an exon": ([donor(3010, 0.5)], CRYPTIC, (3010, 3090), -10, 0),
    "acceptor gained before an exon": ([acceptor(3100, 0.5)], CRYPTIC, (3000, 3101), 11, 11),
    "pseudoexon": ([acceptor(2600, 0.5), donor(2501, 0.3)], PSEUDOEXON, (2501, 2601), None, 400),
    "pair in the wrong order": ([acceptor(2640, 0.5), donor(2700, 0.4)], CRYPTIC, None, None, 360),
    "deep, without a partner": ([donor(2400, 0.5)], CRYPTIC, None, None, 281),
    # 3080-3100 are deleted: the acceptor is gone, and the one that takes its place is at the anchor, 3079
    "deletion of an acceptor": ([acceptor(3089, -1), acceptor(3079, 0.5)], CRYPTIC, (3000, 3080), -10, 0),
    # the bases inserted after 2980 hold a donor
    "insertion of a donor": ([donor(2980, 0.9)], CRYPTIC, (2980, 3090), 20, 20),
}
CASES = [
    pytest.param(strand, *case, id=f"{name} ({strand})")
    for strand, table in (("+", PLUS), ("-", MINUS))
    for name, case in table.items()
]


@pytest.mark.parametrize(("strand", "changes", "kind", "region", "exon_change_bp", "distance_bp"), CASES)
def test_truth_table(
    strand: str,
    changes: list[SiteChange],
    kind: EventKind,
    region: tuple[int, int] | None,
    exon_change_bp: int | None,
    distance_bp: int | None,
) -> None:
    call = call_event(changes, GENES[strand])
    found = (call.kind, call.region, call.exon_change_bp, call.distance_bp)
    assert found == (kind, region, exon_change_bp, distance_bp)
    assert set(call.evidence) <= set(changes)
    assert call_event(changes[::-1], GENES[strand]) == call


def test_leading_change_comes_first_in_the_evidence() -> None:
    changes = [donor(2119, -0.4), donor(2109, 0.9), acceptor(3000, -0.3), acceptor(2501, 0.1)]
    assert call_event(changes, GENES["+"]).evidence == (changes[1], changes[0])


def test_skipped_exons_are_counted() -> None:
    assert call_event([acceptor(2000, -0.5), donor(3089, -0.6)], GENES["+"]).exons == 2
    assert call_event([acceptor(2000, -0.5)], GENES["+"]).exons == 1


@pytest.mark.parametrize(
    ("strand", "gain", "junction", "region", "partner0"),
    [
        ("+", donor(2600, 0.5), (2120, 2501), (2501, 2601), 2501),
        ("+", acceptor(2501, 0.5), (2601, 3000), (2501, 2601), 2600),
        ("-", donor(2501, 0.5), (2601, 3000), (2501, 2601), 2600),
        ("-", acceptor(2600, 0.5), (2120, 2501), (2501, 2601), 2501),
    ],
)
def test_junction_names_the_partner_of_a_gained_site(
    strand: str, gain: SiteChange, junction: tuple[int, int], region: tuple[int, int] | None, partner0: int
) -> None:
    known = JunctionChange(2120, 3000, 9.0)
    junction = JunctionChange(*junction, 1.5)
    call = call_event([gain], GENES[strand], [known, junction])
    assert (call.kind, call.region, call.partner0) == (PSEUDOEXON, region, partner0)
    assert call.junctions == (junction,)
    weak = dataclasses.replace(junction, score=0.4)
    assert call_event([gain], GENES[strand], [known, weak]).partner0 is None


def test_junctions_at_what_changed_are_evidence_strongest_first() -> None:
    junctions = [
        JunctionChange(1100, 2000, 1.0),  # to the lost acceptor
        JunctionChange(1100, 3000, 2.0),  # over the skipped exon
        JunctionChange(3090, 4000, 3.0),  # elsewhere
    ]
    call = call_event([acceptor(2000, -0.8)], GENES["+"], junctions)
    assert call.junctions == (junctions[1], junctions[0])


@pytest.mark.parametrize(
    ("changes", "kind", "region"),
    [
        ([acceptor(2000, -0.2)], SKIPPED, (2000, 2120)),
        ([acceptor(2000, -0.199)], NONE, None),
        ([donor(2131, 0.2)], CRYPTIC, (2000, 2132)),
        ([donor(2131, 0.199)], NONE, None),
        ([donor(2119, -0.9), donor(2131, 0.2)], CRYPTIC, (2000, 2132)),
        ([donor(2600, 0.5), acceptor(2501, 0.05)], PSEUDOEXON, (2501, 2601)),
        ([donor(2600, 0.5), acceptor(2501, 0.049)], CRYPTIC, (2000, 2601)),
        ([donor(2119, -0.9), donor(2619, 0.4)], CRYPTIC, (2000, 2620)),
        ([donor(2119, -0.9), donor(2620, 0.4)], SKIPPED, (2000, 2120)),
    ],
)
def test_a_change_of_exactly_the_limit_counts(
    changes: list[SiteChange], kind: EventKind, region: tuple[int, int] | None
) -> None:
    call = call_event(changes, GENES["+"])
    assert (call.kind, call.region) == (kind, region)


def test_an_annotated_gain_of_exactly_the_threshold_stands_in() -> None:
    gene = GeneModel("+", (EXONS, (EXONS[0], Interval(2012, 2105), *EXONS[2:])))
    lost = donor(2119, -0.8)
    assert call_event([lost, donor(2104, 0.2)], gene).kind == EventKind.ALTERNATIVE_SITE
    assert call_event([lost, donor(2104, 0.199)], gene).kind == SKIPPED


def test_a_junction_of_exactly_the_limit_names_a_partner() -> None:
    gain, junction = donor(2600, 0.5), JunctionChange(2120, 2501, 0.5)
    assert call_event([gain], GENES["+"], [junction]).kind == PSEUDOEXON


@pytest.mark.parametrize(
    ("gained", "region"),
    [
        ([donor(2160, 0.5), acceptor(2120, 0.4)], (2120, 2161)),
        ([donor(2999, 0.5), acceptor(2950, 0.4)], (2950, 3000)),
    ],
)
def test_a_pseudoexon_may_lie_directly_beside_an_exon(
    gained: list[SiteChange], region: tuple[int, int]
) -> None:
    call = call_event(gained, GENES["+"])
    assert (call.kind, call.region, call.exons) == (PSEUDOEXON, region, 0)


@pytest.mark.parametrize("strand", ["+", "-"])
@pytest.mark.parametrize(
    ("start0", "end0", "supports"),
    [
        (2000, 2120, True),
        (1999, 2121, True),
        (1100, 3000, True),
        (2001, 2120, False),
        (2000, 2119, False),
    ],
)
def test_a_junction_supports_skipping_where_it_covers_the_exon(
    strand: str, start0: int, end0: int, supports: bool
) -> None:
    lost = donor(2119, -0.8) if strand == "+" else acceptor(2119, -0.8)
    call = call_event([lost], GENES[strand], [junction := JunctionChange(start0, end0, 1.0)])
    assert (call.kind, call.region) == (SKIPPED, (2000, 2120))
    assert call.junctions == ((junction,) if supports else ())


def test_exon_of_most_transcripts_is_the_one_skipped() -> None:
    short, long = Interval(2000, 2050), Interval(2000, 2120)
    transcripts = [(EXONS[0], middle, EXONS[3]) for middle in (short, long, long)]
    assert call_event([acceptor(2000, -0.8)], GeneModel("+", tuple(transcripts))).region == long


def test_exon_inside_some_transcript_is_skipped_rather_than_retained_at_the_end_of_another() -> None:
    gene = GeneModel("+", ((EXONS[1], EXONS[2]), EXONS))
    assert call_event([donor(2119, -0.8)], gene).kind == SKIPPED


@pytest.mark.parametrize(
    ("strand", "loss", "gain", "becomes", "change_bp"),
    [
        ("+", donor(2119, -0.8), donor(2104, 0.4), (2000, 2105), -15),
        ("+", acceptor(2000, -0.8), acceptor(2012, 0.4), (2012, 2120), -12),
        ("-", donor(2000, -0.8), donor(2012, 0.4), (2012, 2120), -12),
        ("-", acceptor(2119, -0.8), acceptor(2104, 0.4), (2000, 2105), -15),
    ],
)
def test_an_annotated_site_of_the_same_exon_that_stands_in_is_an_alternative_one(
    strand: str, loss: SiteChange, gain: SiteChange, becomes: tuple[int, int], change_bp: int
) -> None:
    other = (EXONS[0], Interval(2012, 2105), *EXONS[2:])
    gene = GeneModel(strand, (EXONS, other))
    call = call_event([gain, loss], gene)
    assert (call.kind, call.region, call.exon_change_bp) == (
        EventKind.ALTERNATIVE_SITE,
        Interval(*becomes),
        change_bp,
    )
    assert call.evidence == (loss, gain)
    words = f"alternative {loss.site}: exon {-change_bp} bp shorter, {becomes[0] + 1}-{becomes[1]};"
    assert describe_event(call).startswith(words)
    weak = dataclasses.replace(gain, score=0.1)
    assert call_event([weak, loss], gene).kind == SKIPPED
    elsewhere = SiteChange(loss.site, 3089 if (loss.site == DONOR) == (strand == "+") else 3000, 0.4)
    assert call_event([elsewhere, loss], gene).kind == SKIPPED


def test_gene_of_one_exon() -> None:
    gene = GeneModel("-", ((Interval(10, 90),),))
    assert call_event([donor(50, 0.9)], gene).region is None
    assert call_event([donor(10, -0.9)], gene).kind == NONE
