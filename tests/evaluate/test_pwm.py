"""Position weight matrices find planted sites, and score changes as the rule in its plainest form does."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from tests.evaluate.planted import (
    ACCEPTOR,
    BOUNDARY_IN,
    DONOR,
    GENES,
    Genome,
    build_planted,
    genes,
    reverse_complement,
    sites,
)
from tests.paths import need
from vepscore.evaluate.changes import Change, change_of
from vepscore.evaluate.pwm import MIN_INTRONS, SHAPES, Matrix, SiteModel, train_matrices
from vepscore.genome.annotation import Annotation
from vepscore.genome.fasta import Reference
from vepscore.genome.windows import encode_bases

JUDGED_BP = GENES["judged"] * 1_000


@pytest.fixture(scope="module")
def matrices(planted: Genome) -> dict[str, Matrix]:
    return train_matrices(planted.annotation, [planted.reference], ["judged"]).matrices


@pytest.fixture(scope="module")
def model(planted: Genome, matrices: dict[str, Matrix]) -> SiteModel:
    return SiteModel(matrices, planted.annotation, planted.reference)


def changes(planted: Genome, rng: np.random.Generator) -> list[Change]:
    """Every kind of change at every site, at its edges and inside, and some far from any."""
    places = [boundary + offset for *_, boundary in sites("judged") for offset in range(-24, 25)]
    found = []
    for pos0 in [*places, *range(50, JUDGED_BP - 50, 97)]:
        inserted = "".join(rng.choice(list("ACGT"), int(rng.integers(1, 6))))
        base = planted.contigs["judged"][pos0]
        alleles = [
            planted.snv("judged", pos0, int(rng.integers(1, 4))),
            planted.allele("judged", pos0, int(rng.integers(2, 30)), base),
            planted.allele("judged", pos0, 1, base + inserted),
            planted.allele("judged", pos0, int(rng.integers(2, 6)), inserted),
        ]
        found += [change_of(allele) for allele in alleles]
    return found


class TestMatrices:
    def test_most_frequent_bases_are_the_planted_ones(self, matrices: dict[str, Matrix]) -> None:
        found = {
            kind: "".join("ACGT"[code] for code in matrix.weights.argmax(1))
            for kind, matrix in matrices.items()
        }
        assert found == {"donor": DONOR, "acceptor": ACCEPTOR}

    def test_weights_are_log_odds_with_pseudocounts(self) -> None:
        sites = np.array([[0, 1]] * 3 + [[0, 2]], np.uint8)  # AC AC AC AG
        matrix = Matrix.train(SHAPES["donor"].__class__(before_bp=1, after_bp=1), sites)
        expected = np.log2(np.array([[5, 1, 1, 1], [1, 4, 2, 1]]) / 8 / 0.25)
        np.testing.assert_allclose(matrix.weights[:, :4], expected)
        np.testing.assert_array_equal(matrix.weights[:, 4], 0)
        np.testing.assert_allclose(matrix.score(sites[2:]), expected[0, 0] + expected[1, [1, 2]])

    def test_planted_sites_stand_out_of_the_contig(
        self, planted: Genome, matrices: dict[str, Matrix]
    ) -> None:
        """On a contig that was not trained on, real sites are among the best places of their strand."""
        for kind, strand in itertools.product(SHAPES, "+-"):
            scores = scan(planted.contigs["judged"], matrices[kind], strand)
            real = [boundary for k, s, boundary in sites("judged") if (k, s) == (kind, strand)]
            assert len(real) == 4
            best = sorted(scores, key=scores.get, reverse=True)[: JUDGED_BP // 200]  # 0.5%
            assert set(real) <= set(best)

    def test_floor_is_below_most_training_sites(self, planted: Genome, matrices: dict[str, Matrix]) -> None:
        for kind, matrix in matrices.items():
            by_strand = {strand: scan(planted.contigs["training"], matrix, strand) for strand in "+-"}
            scores = [by_strand[strand][boundary] for k, strand, boundary in sites("training") if k == kind]
            assert np.mean(np.array(scores) > matrix.floor) == pytest.approx(0.95, abs=0.01)

    def test_excluded_chromosomes_are_not_trained_on(self, planted: Genome) -> None:
        training = train_matrices(planted.annotation, [planted.reference], ["judged"])
        assert (training.introns, training.chroms) == (2 * GENES["training"], ("training",))
        everything = train_matrices(planted.annotation, [planted.reference], [])
        assert (everything.introns, everything.chroms) == (2 * sum(GENES.values()), ("judged", "training"))

    def test_too_few_introns_make_no_matrices(self, planted: Genome) -> None:
        training = train_matrices(planted.annotation, [planted.reference], ["training"])
        assert training.introns == 2 * GENES["judged"] < MIN_INTRONS
        assert training.matrices == {}

    def test_slices_train_what_the_whole_contig_trains(
        self, planted: Genome, matrices: dict[str, Matrix], tmp_path: Path
    ) -> None:
        bases, cut = planted.contigs["training"], 30_950
        path = tmp_path / "slices.fa"
        path.write_text(
            f">training:1-{cut}\n{bases[:cut]}\n>training:{cut + 1}-{len(bases)}\n{bases[cut:]}\n"
        )
        training = train_matrices(planted.annotation, [Reference(path, tmp_path)], ["judged"])
        assert training.introns == 2 * GENES["training"]
        for kind, matrix in training.matrices.items():
            np.testing.assert_array_equal(matrix.weights, matrices[kind].weights)

    def test_unknown_bases_are_passed_over_for_another_file(self, planted: Genome, tmp_path: Path) -> None:
        """An intron whose site is N in one file is taken from the next; what is known nowhere is not trained on."""
        bases = planted.contigs["training"]
        path = tmp_path / "gaps.fa"
        path.write_text(f">training\n{'N' * 40_000}{bases[40_000:]}\n")
        gaps = Reference(path, tmp_path)
        assert train_matrices(planted.annotation, [gaps], ["judged"]).introns == GENES["training"]
        both = train_matrices(planted.annotation, [gaps, planted.reference], ["judged"])
        assert both.introns == 2 * GENES["training"]


class TestChanges:
    def test_breaking_the_canonical_bases_loses_the_site(self, planted: Genome, model: SiteModel) -> None:
        for kind, strand, boundary in sites("judged"):
            intron_right = (kind == "donor") == (strand == "+")
            for pos0 in (boundary, boundary + 1) if intron_right else (boundary - 1, boundary - 2):
                for step in (1, 2, 3):
                    assert model.score(change_of(planted.snv("judged", pos0, step))) < -6

    def test_change_far_from_sites_is_nothing(self, planted: Genome, model: SiteModel) -> None:
        far = [
            pos0 for pos0 in range(30, JUDGED_BP) if min(abs(pos0 - at) for *_, at in sites("judged")) > 30
        ]
        scores = np.array([model.score(change_of(planted.snv("judged", pos0))) for pos0 in far[::3]])
        assert np.mean(scores == 0) > 0.9
        assert np.all(scores >= 0)  # there is nothing to lose

    def test_planted_new_donor_is_a_gain(self, planted: Genome, model: SiteModel) -> None:
        """A donor written into the middle of an intron."""
        for _, strand, exons in genes("judged"):
            middle = (exons[1][1] + exons[2][0]) // 2
            donor = DONOR if strand == "+" else reverse_complement(DONOR)
            allele = planted.allele("judged", middle, len(donor), donor)
            assert model.score(change_of(allele)) > 3

    def test_copy_of_a_site_beside_it_loses_nothing(self, planted: Genome, model: SiteModel) -> None:
        """A donor inserted again at the donor: the site is still there."""
        *_, (_, boundary), _ = next(exons for _, strand, exons in genes("judged") if strand == "+")
        site = planted.contigs["judged"][boundary - 3 : boundary + 6]
        change = Change(chrom="judged", start0=boundary - 3, end0=boundary - 3, alt=site)
        assert model.score(change) >= 0

    def test_same_as_the_rule_in_its_plainest_form(
        self, planted: Genome, matrices: dict[str, Matrix], model: SiteModel
    ) -> None:
        some = changes(planted, np.random.default_rng(3))
        scores = np.array([model.score(change) for change in some])
        expected = np.array([plain_score(planted, matrices, change) for change in some])
        np.testing.assert_allclose(scores, expected, atol=1e-9)
        assert (scores < -1).sum() > 100 and (scores > 1).sum() > 10 and (scores == 0).sum() > 100

    def test_strands_are_alike(
        self, planted: Genome, matrices: dict[str, Matrix], model: SiteModel, tmp_path: Path
    ) -> None:
        """Check that the reverse complement of the whole genome gives the same scores."""
        mirrored = build_planted(tmp_path, mirrored=True)
        mirrored_model = SiteModel(
            train_matrices(mirrored.annotation, [mirrored.reference], ["judged"]).matrices,
            mirrored.annotation,
            mirrored.reference,
        )
        some = changes(planted, np.random.default_rng(4))
        there = [
            Change(
                chrom="judged",
                start0=JUDGED_BP - change.end0,
                end0=JUDGED_BP - change.start0,
                alt=reverse_complement(change.alt),
            )
            for change in some
        ]
        np.testing.assert_allclose(
            [mirrored_model.score(change) for change in there],
            [model.score(change) for change in some],
            atol=1e-9,
        )

    def test_ends_of_a_contig(self, planted: Genome, model: SiteModel) -> None:
        for pos0 in (0, JUDGED_BP - 1):
            assert np.isfinite(model.score(change_of(planted.snv("judged", pos0))))


def test_human_consensus(human_cache: Path) -> None:
    """RefSeq's introns on chr2 and chr20 give the consensus of the textbooks."""
    annotation = Annotation.from_gtf(need("data/refseq_hg38.gtf.gz"), human_cache)
    reference = Reference(need("data/hg38_native.fa.gz"), human_cache)
    training = train_matrices(annotation, [reference], ["chr16"])
    donor, acceptor = (training.matrices[kind].weights for kind in ("donor", "acceptor"))
    assert training.chroms == ("chr2", "chr20") and training.introns > 1_000
    assert "".join("ACGT"[code] for code in donor.argmax(axis=1)) in ("AAGGTAAGT", "CAGGTAAGT")
    assert "".join("ACGT"[code] for code in acceptor[17:22].argmax(axis=1)) in (
        "CAGGA",
        "CAGGG",
        "CAGGT",
        "CAGGC",
    )
    assert np.all(acceptor[:15, [1, 3]].sum(axis=1) > acceptor[:15, [0, 2]].sum(axis=1))  # pyrimidines


def scan(contig: str, matrix: Matrix, strand: str) -> dict[int, float]:
    """Boundary → bits, for each place of a contig at which a site fits."""
    before, width = matrix.shape.before_bp, matrix.shape.width_bp
    bases = contig if strand == "+" else reverse_complement(contig)
    windows = np.lib.stride_tricks.sliding_window_view(encode_bases(bases.encode()), width)
    scores = sum(matrix.weights[i][windows[:, i]] for i in range(width)).tolist()
    places = (
        start + before if strand == "+" else len(contig) - start - before for start in range(len(scores))
    )
    return dict(zip(places, scores, strict=True))


def plain_score(planted: Genome, matrices: dict[str, Matrix], change: Change) -> float:
    """The rule on both sequences, site by site."""
    first, last = max(change.start0 - 60, 0), change.end0 + 60
    contig = planted.contigs["judged"]
    reference = contig[first:last]
    alternate = contig[first : change.start0] + change.alt + contig[change.end0 : last]
    start, end = change.start0 - first, change.end0 - first
    shift = len(alternate) - len(reference)
    strands = {
        strand
        for _, strand, exons in genes("judged")
        if exons[0][0] < max(change.end0, change.start0 + 1) and change.start0 < exons[-1][1]
    }
    found = [0.0]
    for kind, strand in itertools.product(SHAPES, strands or "+-"):
        before, after = BOUNDARY_IN[kind], SHAPES[kind].width_bp - BOUNDARY_IN[kind]
        left, right = (before, after) if strand == "+" else (after, before)
        old, new = (scan(bases, matrices[kind], strand) for bases in (reference, alternate))

        def touching(
            scores: dict[int, float], length: int, left: int = left, right: int = right
        ) -> dict[int, float]:
            return {b: bits for b, bits in scores.items() if b - left < start + length and b + right > start}

        old, new = touching(old, end - start), touching(new, len(change.alt))
        for k, s, boundary in sites("judged"):
            boundary -= first
            if (k, s) == (kind, strand) and boundary in old:
                stays = [boundary] if boundary <= start or shift == 0 else []
                moves = [boundary + shift] if boundary >= end else []
                found.append(max((new[b] for b in stays + moves), default=0.0) - old[boundary])
        floor = matrices[kind].floor
        found.append(max(0.0, max(floor, *new.values()) - max(floor, *old.values())))
    return max(found, key=abs)
