"""Chunks of the training sequence, and their labels on disk."""

from pathlib import Path

import numpy as np

from vepscore.genome.windows import UNKNOWN, reverse_complement
from vepscore.train.segments import Segment
from vepscore.train.splicing.label_store import Chunk, choose_chunks, label_chunks, list_chunks, read_labels
from vepscore.train.splicing.splice_teachers import SpliceTeachers
from vepscore.train.training_data import TrainingData

CHUNK_BP = 4_096


class CountingTeachers(SpliceTeachers):
    """Says which bases are A and C, and counts what it labels."""

    def __init__(self) -> None:
        self.flank_bp = 7
        self.calls = 0
        self.drawn: list[tuple[float, int | None]] = []

    def predict_mean(
        self, codes: np.ndarray, rng: np.random.Generator | None = None, count: int | None = None
    ) -> np.ndarray:
        assert rng is not None
        self.calls += 1
        self.drawn.append((rng.random(), count))
        inside = codes[:, self.flank_bp : -self.flank_bp]
        return np.stack([inside == 0, inside == 1], axis=-1).astype(np.float32)


def chunks_of(data: TrainingData) -> list[Chunk]:
    return list_chunks(data.training_segments(), data.annotation, CHUNK_BP)


def test_chunks_cover_both_strands_of_the_training_sequence(data: TrainingData) -> None:
    chunks = chunks_of(data)
    assert {chunk.segment.chrom for chunk in chunks} == {"chr1", "chr2", "chr3"}
    places = {(chunk.segment.chrom, chunk.start0, chunk.strand) for chunk in chunks}
    assert len(places) == len(chunks) == 3 * 5 * 2
    in_gene = {(chunk.start0, chunk.strand) for chunk in chunks if chunk.in_gene}
    assert in_gene == {(0, "+"), (4_096, "-"), (8_192, "-"), (12_288, "+")}


def test_repeated_segments_and_unknown_sequence_have_no_chunks(data: TrainingData) -> None:
    codes = np.full(3 * CHUNK_BP, UNKNOWN, np.uint8)
    codes[: CHUNK_BP + 2_100] = 1
    segment = Segment(chrom="chr9", start0=100, codes=codes)
    chunks = list_chunks([segment, segment], data.annotation, CHUNK_BP)
    assert [(chunk.start0, chunk.strand) for chunk in chunks] == [
        (100, "+"),
        (100, "-"),
        (4_196, "+"),
        (4_196, "-"),
    ]


def test_sequence_of_a_chunk_is_that_of_its_strand(data: TrainingData) -> None:
    plus, minus = chunks_of(data)[2:4]
    assert (plus.strand, minus.strand) == ("+", "-")
    bases = plus.segment.codes[CHUNK_BP - 10 : 2 * CHUNK_BP + 10]
    np.testing.assert_array_equal(plus.codes(-10, CHUNK_BP + 20), bases)
    np.testing.assert_array_equal(minus.codes(-10, CHUNK_BP + 20), reverse_complement(bases))
    np.testing.assert_array_equal(minus.codes(50, 100), minus.codes(0, CHUNK_BP)[50:150])


def test_a_larger_fraction_has_the_chunks_of_a_smaller_one(data: TrainingData) -> None:
    chunks = chunks_of(data)
    small, large = (choose_chunks(chunks, g, 0.1, 3) for g in (0.3, 0.8))
    genes = [[chunk for chunk in chosen if chunk.in_gene] for chosen in (small, large)]
    assert [len(each) for each in genes] == [4, 10] and genes[1][:4] == genes[0]
    assert len(small) - 4 == 2 and all(not chunk.in_gene for chunk in small[4:])


def test_labeling_resumes(data: TrainingData, tmp_path: Path) -> None:
    chunks = chunks_of(data)[:6]
    counted: list[int] = []
    teachers = CountingTeachers()
    label_chunks(chunks, teachers, tmp_path, observe=counted.append)
    assert teachers.calls == 6 and counted == list(range(1, 7))
    expected = read_labels(chunks, tmp_path)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 6
    for path in files[:3]:
        path.unlink()
    label_chunks(chunks, teachers, tmp_path)
    assert teachers.calls == 9 and sorted(tmp_path.iterdir()) == files
    for chunk, before, after in zip(chunks, expected, read_labels(chunks, tmp_path), strict=True):
        np.testing.assert_array_equal(before, after)
        assert after.dtype == np.float16 and after.shape == (CHUNK_BP, 2)
        np.testing.assert_array_equal(after[:, 0], chunk.codes(0, CHUNK_BP) == 0)


def test_networks_are_drawn_anew_for_each_chunk_and_alike_in_each_run(
    data: TrainingData, tmp_path: Path
) -> None:
    chunks = chunks_of(data)[:4]
    first, second = CountingTeachers(), CountingTeachers()
    label_chunks(chunks, first, tmp_path / "first", 1)
    label_chunks(chunks[::-1], second, tmp_path / "second", 1)
    assert [count for _, count in first.drawn] == [1] * 4
    assert len({number for number, _ in first.drawn}) == 4
    assert second.drawn == first.drawn[::-1]
