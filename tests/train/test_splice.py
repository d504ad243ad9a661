"""Splice labels and labeled windows, on a toy chromosome and on the shared data."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from tests.paths import need
from vepscore.genome.annotation import Annotation
from vepscore.genome.windows import reverse_complement
from vepscore.train.labels import NO_SITE, label_sequence
from vepscore.train.segments import Segment, read_segments
from vepscore.train.splice import SpliceData, _labeled_window

# Gene A (+): intron [120, 200) in both transcripts that span it, [220, 300) in one of two.
# Gene B (-): intron [420, 480).
EXONS = {
    ("A", "A1", "+"): [(100, 120), (200, 220), (300, 340)],
    ("A", "A2", "+"): [(100, 120), (200, 340)],
    ("A", "A3", "+"): [(310, 340)],
    ("B", "B1", "-"): [(400, 420), (480, 500)],
}


def write_gtf(path: Path, chrom: str, shift: int = 0) -> Path:
    lines = []
    for (gene, transcript, strand), exons in EXONS.items():
        attributes = f'gene_id "{gene}"; transcript_id "{transcript}"; gene_type "protein_coding";'
        for kind, start0, end0 in [("transcript", exons[0][0], exons[-1][1]), *(("exon", *e) for e in exons)]:
            span = f"{start0 + shift + 1}\t{end0 + shift}"
            lines.append(f"{chrom}\ttest\t{kind}\t{span}\t.\t{strand}\t.\t{attributes}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def annotation(tmp_path: Path) -> Annotation:
    return Annotation.from_gtf(write_gtf(tmp_path / "genes.gtf", "chr1"), tmp_path)


@pytest.fixture
def data(annotation: Annotation) -> SpliceData:
    codes = np.random.default_rng(0).integers(0, 4, 600).astype(np.uint8)
    return SpliceData([Segment(chrom="chr1", start0=0, codes=codes)], annotation)


def test_sites_are_the_exonic_bases_next_to_the_intron(annotation: Annotation) -> None:
    labels = label_sequence(annotation, "chr1", 0, 600)
    sites = dict(zip(labels.position.tolist(), labels.site_class.tolist(), strict=True))
    assert sites == {119: 0, 200: 1, 219: 0, 300: 1, 480: 2, 419: 3}


def test_usage_is_the_fraction_of_transcripts_over_the_site(annotation: Annotation) -> None:
    labels = label_sequence(annotation, "chr1", 0, 600)
    usage = dict(zip(labels.position.tolist(), labels.usage.tolist(), strict=True))
    assert usage == {119: 1, 200: 1, 219: 0.5, 300: 0.5, 480: 1, 419: 1}


def test_junction_fractions_count_the_transcripts_that_span_the_intron(annotation: Annotation) -> None:
    labels = label_sequence(annotation, "chr1", 0, 600)
    columns = (labels.donor, labels.acceptor, labels.strand, labels.fraction)
    junctions = {tuple(map(float, row)) for row in zip(*columns, strict=True)}
    assert junctions == {(119, 200, 0, 1), (219, 300, 0, 0.5), (480, 419, 1, 1)}


def test_a_sequence_that_cuts_an_intron_keeps_its_site_but_not_the_junction(annotation: Annotation) -> None:
    labels = label_sequence(annotation, "chr1", 150, 250)
    assert labels.position.tolist() == [50, 69]
    assert len(labels.donor) == 0


def test_labels_of_the_reverse_complement_are_the_labels_reversed(annotation: Annotation) -> None:
    forward = label_sequence(annotation, "chr1", 0, 600)
    reverse = forward.reverse_complement(600)
    assert dict(zip(reverse.position.tolist(), reverse.site_class.tolist(), strict=True)) == {
        599 - 119: 2, 599 - 200: 3, 599 - 219: 2, 599 - 300: 3, 599 - 480: 0, 599 - 419: 1,
    }  # fmt: skip
    columns = (reverse.donor, reverse.acceptor, reverse.strand)
    assert {tuple(map(int, row)) for row in zip(*columns, strict=True)} == {
        (480, 399, 1), (380, 299, 1), (119, 180, 0),
    }  # fmt: skip
    twice = reverse.reverse_complement(600)
    for name in ("position", "site_class", "usage", "primary"):
        np.testing.assert_array_equal(getattr(twice, name), getattr(forward, name))


def test_a_site_of_two_classes_is_labeled_by_the_one_with_more_transcripts(tmp_path: Path) -> None:
    rows = [("T1", [(10, 20), (30, 50)]), ("T2", [(5, 20), (30, 50)]), ("T3", [(2, 8), (19, 50)])]
    attributes = 'gene_id "G"; transcript_id "{}";'
    lines = [
        f"chr1\tx\texon\t{s + 1}\t{e}\t.\t+\t.\t{attributes.format(name)}\n"
        for name, exons in rows
        for s, e in exons
    ]
    (tmp_path / "g.gtf").write_text("".join(lines))
    labels = label_sequence(Annotation.from_gtf(tmp_path / "g.gtf", tmp_path), "chr1", 0, 60)
    window = _labeled_window(np.zeros(60, np.uint8), labels)
    assert np.sum(labels.position == 19) == 2
    assert window.classes[0, 19] == 0
    assert window.usage[0, 19, 0] == pytest.approx(2 / 3)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("start0", [-40, 0, 88, 300])
def test_windows_have_fixed_shapes_and_consistent_labels(
    data: SpliceData, start0: int, reverse: bool
) -> None:
    batch = data.window(0, start0, 512, reverse=reverse)
    assert batch.codes.shape == batch.classes.shape == batch.valid.shape == (1, 512)
    for site_class, row in enumerate(batch.sites[0]):
        assert np.flatnonzero(batch.classes[0] == site_class).tolist() == row[row >= 0].tolist()
    assert np.all((batch.usage[0] > 0).any(axis=1) == (batch.classes[0] != NO_SITE))
    real = batch.fractions[0] > 0
    assert real.any()
    for donor, acceptor, strand in batch.junctions[0][real]:
        ends = batch.sites[0, 2 * strand, donor], batch.sites[0, 2 * strand + 1, acceptor]
        assert min(ends) >= 0 and (ends[0] < ends[1]) == (strand == 0)


def test_a_reversed_window_is_the_reverse_complement(data: SpliceData) -> None:
    forward, reverse = (data.window(0, 50, 256, reverse=reverse) for reverse in (False, True))
    np.testing.assert_array_equal(reverse.codes[0], reverse_complement(forward.codes[0]))
    np.testing.assert_array_equal(reverse.usage[0], forward.usage[0, ::-1, ::-1])


def test_positions_outside_the_segment_are_n_and_not_valid(data: SpliceData) -> None:
    batch = data.window(0, -100, 1024)
    assert batch.valid.sum() == 600 and batch.valid[0, 100:700].all()
    assert (batch.codes[~batch.valid] == 4).all()


def test_every_site_of_every_segment_is_listed(annotation: Annotation, data: SpliceData) -> None:
    parts = [
        Segment(chrom="chr1", start0=start, codes=data.segments[0].codes[start : start + 300])
        for start in (0, 300)
    ]
    assert data.sites.tolist() == [[0, p] for p in (119, 200, 219, 300, 419, 480)]
    assert SpliceData(parts, annotation).sites.tolist() == [
        [0, 119],
        [0, 200],
        [0, 219],
        [1, 300],
        [1, 419],
        [1, 480],
    ]


def test_tiles_contain_every_base_and_site_once(data: SpliceData) -> None:
    tiles = [tile for index in range(len(data.segments)) for _, tile in data.tiles_of(index, 256, 32)]
    assert {tile.codes.shape for tile in tiles} == {(1, 256)}
    assert sum(tile.valid.sum() for tile in tiles) == 600
    assert sum(((tile.classes != NO_SITE) & tile.valid).sum() for tile in tiles) == 6


def test_tiles_lie_within_a_segment_and_mark_valid_positions(data: SpliceData) -> None:
    segment = data.segments[0]
    told = []
    for start0, tile in data.tiles_of(0, 128, 16):
        assert segment.start0 <= start0 and start0 + 128 <= segment.end0
        valid = start0 + np.flatnonzero(tile.valid[0])
        for edge, at, end in (
            (start0, valid[0] - start0, segment.start0),
            (start0 + 128, start0 + 128 - 1 - valid[-1], segment.end0),
        ):
            assert at == 0 if edge == end else at >= 16
        told += valid.tolist()
    assert told == [p for p in range(segment.start0, segment.end0) if segment.codes[p - segment.start0] < 4]


def test_a_segment_shorter_than_a_tile_is_at_its_start(data: SpliceData) -> None:
    length = len(data.segments[0].codes)
    ((start0, tile),) = data.tiles_of(0, 1024, 128)
    assert start0 == data.segments[0].start0 and length < 1024
    assert (tile.codes[0, length:] == 4).all() and not tile.valid[0, length:].any()


def test_transcribed_positions_are_those_of_genes_by_strand(data: SpliceData) -> None:
    inside = data.transcribed(0, -50, 500)
    assert inside.shape == (500, 2)
    # Gene A from 100 to 340, and gene B from 400 on, which ends outside.
    assert np.flatnonzero(inside[:, 0]).tolist() == list(range(150, 390))
    assert np.flatnonzero(inside[:, 1]).tolist() == list(range(450, 500))


def test_junctions_of_a_full_list_of_sites_refer_to_listed_sites(
    data: SpliceData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vepscore.train.splice._MIN_SITES", 1)
    _, tile = next(data.tiles_of(0, 256, 0))
    assert tile.sites.shape == (1, 4, 1)
    assert (tile.fractions[0] > 0).sum() == 1


def test_nearly_all_refseq_sites_have_their_motif(tmp_path: Path) -> None:
    segments = read_segments([need("data/hg38_native.fa.gz")], tmp_path)
    with gzip.open(need("data/refseq_hg38.gtf.gz"), "rt") as lines:
        (tmp_path / "chr16.gtf").write_text("".join(line for line in lines if line.startswith("chr16\t")))
    chr16 = [segment for segment in segments if segment.chrom == "chr16"]
    data = SpliceData(chr16, Annotation.from_gtf(tmp_path / "chr16.gtf", tmp_path))
    segment, labels = data.segments[0], data.labels[0]
    motif = {0: ((1, 2), (2, 3)), 1: ((-2, -1), (0, 2)), 2: ((-2, -1), (0, 1)), 3: ((1, 2), (1, 3))}
    found = [
        all(segment.codes[p + o] == base for o, base in zip(*motif[c], strict=True))
        for p, c in zip(labels.position.tolist(), labels.site_class.tolist(), strict=True)
    ]
    assert len(found) > 2000
    assert np.mean(found) > 0.98
