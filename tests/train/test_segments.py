"""Segments of the genome, with and without held-out intervals."""

from pathlib import Path

import numpy as np

from vepscore.train.segments import Segment, read_segments, without


def test_slices_have_the_position_in_their_name(tmp_path: Path) -> None:
    fasta = tmp_path / "segments.fa"
    fasta.write_text(">chr5:101-108\nACGTNacg\n>chr2\nTTTT\n")
    sliced, native = read_segments([fasta], tmp_path)
    assert (sliced.chrom, sliced.start0, sliced.end0) == ("chr5", 100, 108)
    assert sliced.codes.tolist() == [0, 1, 2, 3, 4, 0, 1, 2]
    assert (native.chrom, native.start0) == ("chr2", 0)
    assert sliced.window(98, 4).tolist() == [4, 4, 0, 1]
    assert sliced.window(200, 2).tolist() == [4, 4]


def test_segments_exclude_held_out_intervals() -> None:
    def spans(*held_out: tuple[str, int, int]) -> list[tuple[str, int, int]]:
        segments = [
            Segment(chrom=chrom, start0=10, codes=np.arange(10, dtype=np.uint8)) for chrom in ("a", "b")
        ]
        remaining = without(segments, (), held_out)
        assert all(
            (segment.codes == np.arange(segment.start0, segment.end0) - 10).all() for segment in remaining
        )
        return [(segment.chrom, segment.start0, segment.end0) for segment in remaining]

    assert spans(("a", 0, 10), ("a", 20, 30), ("c", 12, 14)) == [("a", 10, 20), ("b", 10, 20)]
    assert spans(("a", 12, 14)) == [("a", 10, 12), ("a", 14, 20), ("b", 10, 20)]
    assert spans(("a", 5, 14), ("b", 18, 25)) == [("a", 14, 20), ("b", 10, 18)]
    assert spans(("a", 10, 20)) == [("b", 10, 20)]
    assert without([Segment(chrom="a", start0=0, codes=np.zeros(5, np.uint8))], {"a"}, ()) == []
