"""Strata and distances, against tables made by hand."""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.builders import CONTIGS, GENES, build_genome
from tests.genome.gtf_lines import ids, line
from vepscore.evaluate.changes import Change
from vepscore.evaluate.evaluation import choose_strata
from vepscore.evaluate.strata import SpliceLocator, Stratum
from vepscore.genome.annotation import Annotation

# A gene of three exons; introns on 200-300 and 400-1400.
EXONS = ((100, 200), (300, 400), (1_400, 1_500))
# base → stratum and distance; the same on either strand
BASES = {
    50: ("outside_genes", 150),
    99: ("outside_genes", 101),
    100: ("exon", 100),
    150: ("exon", 50),
    196: ("exon", 4),
    197: ("splice_region", 3),
    199: ("splice_region", 1),
    200: ("canonical", 1),
    201: ("canonical", 2),
    202: ("splice_region", 3),
    207: ("splice_region", 8),
    208: ("intron_9_19", 9),
    218: ("intron_9_19", 19),
    219: ("intron_20_100", 20),
    250: ("intron_20_100", 50),
    291: ("intron_9_19", 9),
    292: ("splice_region", 8),
    298: ("canonical", 2),
    299: ("canonical", 1),
    300: ("splice_region", 1),
    302: ("splice_region", 3),
    303: ("exon", 4),
    396: ("exon", 4),
    418: ("intron_9_19", 19),
    419: ("intron_20_100", 20),
    499: ("intron_20_100", 100),
    500: ("deep_intron", 101),
    900: ("deep_intron", 500),
    1_299: ("deep_intron", 101),
    1_300: ("intron_20_100", 100),
    1_499: ("exon", 100),
    1_500: ("outside_genes", 101),
}
# start and end of what is replaced → stratum and distance; an insertion replaces nothing
LONGER = {
    (196, 200): ("splice_region", 1),  # up to the exon's last base
    (190, 197): ("exon", 4),
    (199, 201): ("canonical", 1),  # over the boundary
    (150, 350): ("canonical", 1),  # all of an intron
    (201, 204): ("canonical", 2),
    (202, 204): ("splice_region", 3),
    (208, 240): ("intron_9_19", 9),
    (260, 300): ("canonical", 1),
    (197, 197): ("exon", 4),  # between bases 4 and 3 of the exon
    (198, 198): ("splice_region", 3),
    (200, 200): ("splice_region", 1),  # between exon and intron
    (201, 201): ("canonical", 2),  # between the canonical bases
    (202, 202): ("splice_region", 3),
    (207, 207): ("splice_region", 8),
    (208, 208): ("intron_9_19", 9),
    (292, 292): ("intron_9_19", 9),
    (299, 299): ("canonical", 2),
    (300, 300): ("splice_region", 1),
    (303, 303): ("exon", 4),
    (100, 100): ("outside_genes", 101),  # before the first exon: not in it
}


def gene(name: str, strand: str, exons: Sequence[tuple[int, int]]) -> str:
    return (
        line("gene", exons[0][0] + 1, exons[-1][1], f'gene_id "{name}";', strand=strand)
        + line("transcript", exons[0][0] + 1, exons[-1][1], ids(name, f"{name}.1"), strand=strand)
        + "".join(
            line("exon", start0 + 1, end0, ids(name, f"{name}.1"), strand=strand) for start0, end0 in exons
        )
    )


@pytest.fixture
def places(tmp_path: Path) -> Callable[[str], SpliceLocator]:
    def of(text: str) -> SpliceLocator:
        path = tmp_path / "genes.gtf"
        path.write_text(text)
        return SpliceLocator(Annotation.from_gtf(path, tmp_path / "cache"))

    return of


def at(start0: int, end0: int, chrom: str = "chr1") -> Change:
    return Change(chrom=chrom, start0=start0, end0=end0, alt="")


def located(places: SpliceLocator, start0: int, end0: int) -> tuple[str, float]:
    place = places.locate(at(start0, end0))
    return str(place.stratum), place.distance_bp


@pytest.mark.parametrize("strand", ["+", "-"])
def test_bases(places: Callable[[str], SpliceLocator], strand: str) -> None:
    one_gene = places(gene("one", strand, EXONS))
    assert {pos0: located(one_gene, pos0, pos0 + 1) for pos0 in BASES} == BASES


@pytest.mark.parametrize("strand", ["+", "-"])
def test_insertions_deletions_and_longer_changes(places: Callable[[str], SpliceLocator], strand: str) -> None:
    one_gene = places(gene("one", strand, EXONS))
    assert {span: located(one_gene, *span) for span in LONGER} == LONGER


@pytest.mark.parametrize("strands", ["++", "+-", "-+", "--"])
def test_intron_counts_where_an_exon_is_as_near(places: Callable[[str], SpliceLocator], strands: str) -> None:
    """Two boundaries 3 apart, as in NAGNAG: 300 to 302 are in the first gene's exon and in the second one's intron."""
    first, second = gene("first", strands[0], EXONS), gene("second", strands[1], ((100, 200), (303, 400)))
    both = places(first + second)
    assert located(both, 301, 302) == ("canonical", 2)  # base 2 of either
    assert located(both, 302, 303) == ("canonical", 1)
    assert located(both, 300, 301) == (
        "splice_region",
        1,
    )  # the exon's first base is nearer than the intron's third


def test_nearest_site_of_all_transcripts_counts(places: Callable[[str], SpliceLocator]) -> None:
    nested = gene("inner", "-", ((700, 800), (850, 900)))
    both = places(gene("outer", "+", EXONS) + nested)
    assert located(both, 840, 841) == ("intron_9_19", 10)
    assert located(both, 750, 751) == ("exon", 50)
    assert located(both, 690, 691) == (
        "deep_intron",
        110,
    )  # of the outer; 700 is the end of a gene, not a site


def test_contig_without_genes_is_outside_at_no_distance(places: Callable[[str], SpliceLocator]) -> None:
    place = places(gene("one", "+", EXONS)).locate(at(10, 11, chrom="chr9"))
    assert (place.stratum, place.distance_bp) == (Stratum.OUTSIDE_GENES, math.inf)


def test_other_names_of_a_contig(places: Callable[[str], SpliceLocator]) -> None:
    place = places(gene("one", "+", EXONS)).locate(at(200, 201, chrom="1"))
    assert place.stratum is Stratum.CANONICAL


def test_each_base_is_in_the_stratum_that_plain_counting_gives(tmp_path: Path) -> None:
    """Every base of chr1 of the tiny genome, whose genes overlap on both strands."""
    places = SpliceLocator(Annotation.from_gtf(build_genome(tmp_path).gtf, tmp_path / "cache"))
    found = [places.locate(at(pos0, pos0 + 1)) for pos0 in range(CONTIGS["chr1"])]
    expected = [plain(pos0) for pos0 in range(CONTIGS["chr1"])]
    assert [(str(place.stratum), place.distance_bp) for place in found] == expected
    assert set(Counter(place.stratum for place in found)) == set(Stratum)

    strata = choose_strata(found, within_bp=30)
    assert np.all(sum(strata[str(stratum)].astype(int) for stratum in Stratum) == strata["all"])
    assert strata["within_30"].sum() == sum(distance_bp <= 30 for _, distance_bp in expected)
    assert strata["within_30_noncanonical"].sum() == strata["within_30"].sum() - strata["canonical"].sum()


def plain(pos0: int) -> tuple[str, float]:
    """The rule in its simplest form: all sites, exons and introns are looked at."""
    found, in_exon, in_intron = [], False, False
    for chrom, _, _, transcripts in GENES.values():
        for exons in transcripts if chrom == "chr1" else []:
            in_exon |= any(start0 <= pos0 < end0 for start0, end0 in exons)
            for (_, start0), (end0, _) in itertools.pairwise(exons):
                in_intron |= start0 <= pos0 < end0
                found.append((pos0 - start0 + 1, "intron") if pos0 >= start0 else (start0 - pos0, "~exon"))
                found.append((end0 - pos0, "intron") if pos0 < end0 else (pos0 - end0 + 1, "~exon"))
    distance_bp, side = min(found)  # "intron" sorts before "~exon"
    if side == "intron" and distance_bp <= 2:
        return "canonical", distance_bp
    if distance_bp <= (8 if side == "intron" else 3):
        return "splice_region", distance_bp
    if in_exon or not in_intron:
        return ("exon" if in_exon else "outside_genes"), distance_bp
    near = "intron_9_19" if distance_bp <= 19 else "intron_20_100"
    return (near if distance_bp <= 100 else "deep_intron"), distance_bp
