"""The sparse engine returns the scores of the dense engine, whatever it shares, evicts or computes again."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from tests.builders import sequences, vcf_row
from tests.engine.alleles import INDELS, ROWS, UNCHANGED, prepare
from tests.engine.comparison import (
    assert_nothing_compiles_again,
    assert_scores_close,
    assert_unchanged_scores_nothing,
    break_head,
    scores_of,
)
from vepscore.contract import ScoreMatrix
from vepscore.engine.dense import DenseEngine
from vepscore.engine.preparer import AllelePreparer
from vepscore.engine.scoring import NotFiniteError
from vepscore.engine.sparse import SparseEngine
from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.model.allele_plan import ReadyAllele
from vepscore.model.checkpoint import Checkpoint
from vepscore.model.pages import PageStore
from vepscore.networks.alphagenome.sparse_predictor import SparsePredictor
from vepscore.networks.alphagenome.window_segments import changed_bins, intervals_of
from vepscore.outputs import Output

BETWEEN_GENES = [vcf_row("chr1", position, 1, "~") for position in (9_300, 9_303, 9_440, 9_600)]
IN_TURN = [
    ROWS["SNV in two genes"],
    ROWS["deletion"],
    *BETWEEN_GENES,
    ROWS["insertion"],
    vcf_row("chr1", 16_000, 1, "~", "~GG", "~GGA"),
    ROWS["first base"],
]


@pytest.fixture(scope="session")
def compiled_sparse(engine: DenseEngine, checkpoint: Checkpoint, preparer: AllelePreparer) -> SparseEngine:
    """Create an engine that has scored a variant, so that its programs are compiled."""
    sparse = SparseEngine(checkpoint, engine.scorers)
    sparse.score(prepare(preparer, BETWEEN_GENES[0]))
    return sparse


@pytest.fixture
def sparse(compiled_sparse: SparseEngine) -> SparseEngine:
    """Return the compiled engine with an empty cache."""
    compiled_sparse.clear_cache()
    return compiled_sparse


@pytest.fixture(scope="session")
def wide_preparer(preparer: AllelePreparer) -> AllelePreparer:
    """Prepare windows of five segments, the last of which overlaps the one before it."""
    return dataclasses.replace(preparer, window_bp=4 * 16_384 + 2_048)


@pytest.fixture(scope="session")
def compiled_wide(engine: DenseEngine, checkpoint: Checkpoint, wide_preparer: AllelePreparer) -> SparseEngine:
    """Create an engine for wide windows that has scored a variant."""
    wide = SparseEngine(checkpoint, engine.scorers)
    wide.score(prepare(wide_preparer, BETWEEN_GENES[0]))
    return wide


@pytest.fixture
def wide(compiled_wide: SparseEngine) -> SparseEngine:
    """Return the compiled engine with an empty cache."""
    compiled_wide.clear_cache()
    return compiled_wide


def score_one_by_one(engine: SparseEngine, alleles: Sequence[ReadyAllele]) -> list[list[bytes]]:
    return [bytes_of(engine.score([allele])[0]) for allele in alleles]


def bytes_of(matrices: list[ScoreMatrix] | NotFiniteError) -> list[bytes]:
    assert not isinstance(matrices, NotFiniteError), matrices
    arrays = [array for matrix in matrices for array in (matrix.values, matrix.junctions, matrix.positions)]
    return [array.tobytes() for array in arrays if array is not None]


def score_afresh(engine: SparseEngine, alleles: Sequence[ReadyAllele]) -> list[list[bytes]]:
    """Score the alleles one by one, beginning with an empty cache."""
    engine.clear_cache()
    return score_one_by_one(engine, alleles)


def shrunken(store: PageStore, rows: int) -> PageStore:
    """Return an empty store of the same pages that never has more rows than these."""
    shapes = [array.shape[1:] for array in store.arrays]
    return PageStore(shapes, store.arrays[0].dtype, rows=rows, max_rows=rows)


@pytest.mark.parametrize("kind", ROWS)
def test_scores_equal_the_dense_engine(
    sparse: SparseEngine, engine: DenseEngine, preparer: AllelePreparer, kind: str
) -> None:
    (allele,) = prepare(preparer, ROWS[kind])
    (found,), (expected,) = sparse.score([allele]), engine.score([allele])
    assert [matrix.scorer for matrix in found] == [matrix.scorer for matrix in expected]
    assert_scores_close(scores_of(found), scores_of(expected))
    assert_events_at_the_same_places(found, expected)


def assert_events_at_the_same_places(found: list[ScoreMatrix], expected: list[ScoreMatrix]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_equal(one.positions, other.positions)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["SNV in two genes", "insertion", "deletion over three genes", "first base"])
def test_scores_equal_the_dense_engine_over_several_segments(
    wide: SparseEngine, engine: DenseEngine, wide_preparer: AllelePreparer, kind: str
) -> None:
    (allele,) = prepare(wide_preparer, ROWS[kind])
    (found,), (expected,) = wide.score([allele]), engine.score([allele])
    assert_scores_close(scores_of(found), scores_of(expected))


@pytest.mark.parametrize("kind", ["SNV in two genes", "insertion", "past the contig's start"])
def test_scores_equal_the_dense_engine_on_the_minus_strand(
    engine: DenseEngine, paired_checkpoint: Checkpoint, preparer: AllelePreparer, kind: str
) -> None:
    (allele,) = prepare(preparer, ROWS[kind])
    engines = [
        kind_of(paired_checkpoint, engine.scorers, strand="-") for kind_of in (SparseEngine, DenseEngine)
    ]
    found, expected = (scores_of(each.score([allele])[0]) for each in engines)
    assert_scores_close(found, expected)


@pytest.mark.parametrize("kind", INDELS)
def test_indels_in_two_windows_equal_the_dense_engine(
    sparse: SparseEngine, engine: DenseEngine, both_preparer: AllelePreparer, kind: str
) -> None:
    (allele,) = prepare(both_preparer, INDELS[kind])
    (found,), (expected,) = sparse.score([allele]), engine.score([allele])
    assert_scores_close(scores_of(found), scores_of(expected))
    assert_events_at_the_same_places(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["insertion", "deletion over three genes"])
def test_indels_in_two_windows_equal_the_dense_engine_over_several_segments(
    wide: SparseEngine, engine: DenseEngine, wide_preparer: AllelePreparer, kind: str
) -> None:
    in_two = dataclasses.replace(wide_preparer, indel_anchor=IndelAnchor.BOTH)
    (allele,) = prepare(in_two, INDELS[kind])
    (found,), (expected,) = wide.score([allele]), engine.score([allele])
    assert_scores_close(scores_of(found), scores_of(expected))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["insertion", "deletion", "long insertion"])
def test_indels_in_two_windows_equal_the_dense_engine_on_the_minus_strand(
    engine: DenseEngine, paired_checkpoint: Checkpoint, both_preparer: AllelePreparer, kind: str
) -> None:
    (allele,) = prepare(both_preparer, INDELS[kind])
    engines = [
        kind_of(paired_checkpoint, engine.scorers, strand="-") for kind_of in (SparseEngine, DenseEngine)
    ]
    found, expected = (scores_of(each.score([allele])[0]) for each in engines)
    assert_scores_close(found, expected)


@pytest.mark.parametrize("kind", ["SNV in two genes", "MNV"])
def test_alleles_of_one_length_have_the_same_bytes_with_both_anchors(
    sparse: SparseEngine, preparer: AllelePreparer, both_preparer: AllelePreparer, kind: str
) -> None:
    found, expected = (score_afresh(sparse, prepare(each, ROWS[kind])) for each in (both_preparer, preparer))
    assert found == expected


def test_each_window_of_an_indel_is_decoded_on_its_own_side_only(
    sparse: SparseEngine, preparer: AllelePreparer, both_preparer: AllelePreparer
) -> None:
    decoded = []
    for each in (preparer, both_preparer):
        (allele,) = prepare(each, ROWS["insertion"])
        with counted(sparse.predictor._decoder, "decode") as calls:
            score_afresh(sparse, [allele])
        decoded.append([set(bins.tolist()) for _, bins, _ in calls])
    (once,), (left, right) = decoded
    middle = (
        16_384 // 128 // 2 - 1
    )  # the bin whose last base is the anchor; the inserted bases are in the next
    assert left == {number for number in once if number <= middle + 1}
    assert right == {number for number in once if number > middle}


def test_scores_do_not_depend_on_what_was_scored_before(
    sparse: SparseEngine, preparer: AllelePreparer, both_preparer: AllelePreparer
) -> None:
    alleles = [*prepare(preparer, *IN_TURN), *prepare(both_preparer, *IN_TURN[-3:])]
    alone = [score_afresh(sparse, [allele])[0] for allele in alleles]
    assert score_afresh(sparse, alleles) == alone
    assert score_afresh(sparse, alleles[::-1]) == alone[::-1]


def test_cleared_cache_holds_nothing(sparse: SparseEngine, preparer: AllelePreparer) -> None:
    alleles = prepare(preparer, *IN_TURN[:3])
    stores = [sparse.predictor._decoder.store, *sparse.predictor._encoder.stores]
    free = [store.free for store in stores]
    with counted(sparse.predictor._encoder, "_encode") as encoded:
        score_one_by_one(sparse, alleles)
        calls = len(encoded)
        sparse.clear_cache()
        assert [store.free for store in stores] == free
        score_one_by_one(sparse, alleles)
    assert len(encoded) == 2 * calls > 0


def test_small_store_changes_no_byte(
    wide: SparseEngine, wide_preparer: AllelePreparer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The skips of a gene do not all fit, and are encoded again for each interval of it."""
    alleles = prepare(wide_preparer, *IN_TURN)
    expected = score_one_by_one(wide, alleles)
    wide.clear_cache()
    with monkeypatch.context() as patch, counted(wide.predictor._encoder, "_encode") as encoded:
        encoder = wide.predictor._encoder
        patch.setattr(encoder, "stores", [shrunken(store, 80) for store in encoder.stores])
        assert score_one_by_one(wide, alleles) == expected
        wide.clear_cache()  # before its pages are looked up in the other stores
        assert [store.free for store in wide.predictor._encoder.stores] == [80, 80]
    assert len(encoded) > 40


def test_alts_and_neighbours_share_the_reference(sparse: SparseEngine, preparer: AllelePreparer) -> None:
    """On a grid, the window is encoded and run through the tower once; each alternate adds a small segment."""
    aligned = dataclasses.replace(preparer, align_bp=2048)
    alleles = prepare(aligned, vcf_row("chr1", 9_300, 1, "~", "~GG"), *BETWEEN_GENES)
    assert len({allele.site.window for allele in alleles}) == 1
    with (
        counted(sparse.predictor._encoder, "_encode") as encoded,
        counted(sparse.predictor._tower, "_run") as towers,
    ):
        score_one_by_one(sparse, alleles[:1] + alleles[2:])
    sizes = [len(codes) // 128 - 8 for _, _, codes, *_ in encoded]
    assert sizes.count(128) == 1 + 1  # the second time for pages beside those of the first variant
    assert sizes.count(12) == len(alleles) - 1
    assert len(towers) == 1 + len(alleles) - 1


def test_neighbours_find_the_reference_decoded(sparse: SparseEngine, preparer: AllelePreparer) -> None:
    """Calls for the reference also decode what the next variant reads; the alternate's last calls are small."""
    aligned = dataclasses.replace(preparer, align_bp=4096)
    alleles = prepare(aligned, *(vcf_row("chr1", position, 1, "~") for position in (9_300, 9_900, 10_200)))
    assert len({allele.site.window for allele in alleles}) == 1
    score_one_by_one(sparse, alleles[:2])
    (reference,) = sparse.predictor._references.values()
    decoded = reference.rows.copy()
    with counted(sparse.predictor._decoder, "_decode") as calls:
        score_one_by_one(sparse, alleles[2:])
    assert not any(trunk is reference.tower.trunk for _, trunk, *_ in calls)
    assert {len(first_bins) for _, _, _, first_bins, _ in calls} <= {4, 8, 12}
    assert (reference.rows == decoded).all()


def test_last_layer_of_the_tower_runs_where_it_is_read(
    wide: SparseEngine, wide_preparer: AllelePreparer
) -> None:
    """For an alternate, it runs in a quarter or half of the bins."""
    alleles = prepare(wide_preparer, *IN_TURN)
    with counted(wide.predictor._tower, "_run") as towers:
        score_one_by_one(wide, alleles)
    bins = len(alleles[0].reference_codes) // 128
    sizes = [None if query_bins is None else len(query_bins) for _, _, query_bins in towers]
    assert 0 < sizes.count(None) < len(sizes)
    assert set(sizes) <= {None, bins // 2, bins // 4}


def test_overlapping_windows_share_tiles(wide: SparseEngine, wide_preparer: AllelePreparer) -> None:
    """If windows are a segment apart, all segments except those at their ends are the same."""
    aligned = dataclasses.replace(wide_preparer, align_bp=16_384)
    left, right = prepare(aligned, vcf_row("chr1", 5_000, 1, "~"), vcf_row("chr1", 21_500, 1, "~"))
    assert right.site.window.start0 - left.site.window.start0 == 16_384
    (alone,) = score_one_by_one(wide, [right])
    score_afresh(wide, [left])
    with counted(wide.predictor._encoder, "_encode") as encoded:
        assert score_one_by_one(wide, [right]) == [alone]
    first_bins = {int(first) for _, _, codes, first, *_ in encoded if len(codes) > 10_000}
    assert first_bins == {
        0,
        256,
        384,
        400,
    }  # at 256 for skips around the variant, which the left one did not read


@contextlib.contextmanager
def counted(owner: Any, name: str) -> Iterator[list[tuple[Any, ...]]]:
    """Collect the arguments of each call of a method."""
    calls: list[tuple[Any, ...]] = []
    function = getattr(owner, name)

    def call(*args: Any) -> Any:
        calls.append(args)
        return function(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, call)
        yield calls


def test_alleles_scored_together_have_the_scores_of_each(
    sparse: SparseEngine, preparer: AllelePreparer, monkeypatch: pytest.MonkeyPatch
) -> None:
    aligned = dataclasses.replace(preparer, align_bp=2048)
    alleles = prepare(aligned, *BETWEEN_GENES, ROWS["deletion"], ROWS["insertion"])
    alone = score_one_by_one(sparse, alleles)
    sparse.clear_cache()
    monkeypatch.setattr(sparse, "batch", 3)
    assert [bytes_of(matrices) for matrices in sparse.score(alleles)] == alone


def test_alt_equal_to_ref_scores_nothing(sparse: SparseEngine, preparer: AllelePreparer) -> None:
    assert_unchanged_scores_nothing(sparse, preparer)


def test_alt_equal_to_ref_costs_the_reference_alone(
    sparse: SparseEngine, preparer: AllelePreparer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Together with other ALTs of its record it runs nothing, and changes none of their bytes."""
    row = vcf_row("chr1", 9_300, 1, "~", sequences()["chr1"][9_300], "~GG")
    alleles = prepare(preparer, row)
    alone = [score_afresh(sparse, [allele])[0] for allele in alleles]
    sparse.clear_cache()
    with counted(sparse.predictor._tower, "_run") as towers:
        assert score_one_by_one(sparse, prepare(preparer, UNCHANGED[0])) != []
    assert len(towers) == 1
    sparse.clear_cache()
    monkeypatch.setattr(sparse, "batch", 3)
    with counted(sparse.predictor._tower, "_run") as towers:
        assert [bytes_of(matrices) for matrices in sparse.score(alleles)] == alone
    assert len(towers) == 1 + 2


def test_bin_missing_from_the_plan_fails_the_allele(
    sparse: SparseEngine, preparer: AllelePreparer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the plan misses a bin, the allele fails: no stale value is read."""
    bins = SparsePredictor._decoded_bins
    monkeypatch.setattr(SparsePredictor, "_decoded_bins", lambda *args: bins(*args)[1:])
    (result,) = sparse.score(prepare(preparer, ROWS["SNV in two genes"]))
    assert isinstance(result, NotFiniteError)


def test_broken_head_fails_alone(
    engine: DenseEngine, checkpoint: Checkpoint, preparer: AllelePreparer
) -> None:
    scorers = [scorer for scorer in engine.scorers if scorer.name in ("DNASE", "SPLICE_SITES")]
    broken = SparseEngine(break_head(checkpoint, Output.SPLICE_SITES), scorers)
    fine, failed = broken.score(prepare(preparer, ROWS["no gene"], ROWS["SNV in two genes"]))
    assert [matrix.scorer for matrix in fine] == ["DNASE"]
    assert str(failed) == "SPLICE_SITES: the device returned numbers that are not finite"


def test_alleles_of_other_lengths_and_genes_compile_nothing(
    sparse: SparseEngine, preparer: AllelePreparer, caplog: pytest.LogCaptureFixture
) -> None:
    assert_nothing_compiles_again(sparse, preparer, caplog)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ([5_000], [(35, 44)]),  # 5000 - 640 = 34.06 bins, 5000 + 513 = 43.07 bins
        ([0], [(0, 5)]),
        ([16_383], [(123, 128)]),
        ([1_000, 9_000], [(3, 12), (66, 75)]),
    ],
)
def test_bins_that_depend_on_a_base(changed: list[int], expected: list[tuple[int, int]]) -> None:
    """A bin of the official trunk reads 513 bases to either side of it."""
    reference = np.zeros(16_384, np.uint8)
    alternate = reference.copy()
    alternate[changed] = 1
    assert intervals_of(changed_bins(reference, alternate, 513)) == expected
