"""Test the exons of a gene, read from its annotation, and distances from them."""

from pathlib import Path

from tests.scorers.cases import read_annotation
from vepscore.genome.annotation import Annotation
from vepscore.report.gene_model import GeneModel, Interval, read_gene_model


def model(annotation: Annotation, pos0: int) -> GeneModel | None:
    (gene,) = annotation.genes_overlapping("chr1", pos0, pos0 + 1)
    return read_gene_model(annotation, gene)


def test_exons_of_each_transcript(tmp_path: Path) -> None:
    transcripts = [[(100, 200), (300, 400)], [(150, 180), (180, 220), (300, 400)]]
    annotation = read_annotation(tmp_path, {"PLUS": ("protein_coding", "+", transcripts)})
    found = model(annotation, 150)
    assert found == GeneModel("+", (((100, 200), (300, 400)), ((150, 220), (300, 400))))
    assert found.exons == ((100, 200), (150, 220), (300, 400))


def test_gene_without_strand_has_no_model(tmp_path: Path) -> None:
    annotation = read_annotation(tmp_path, {"ANY": ("protein_coding", ".", [[(100, 200)]])})
    assert model(annotation, 150) is None


def test_minus_strand_turned_round() -> None:
    gene = GeneModel("-", ((Interval(10, 20), Interval(30, 45)),))
    assert gene.along_strand() == GeneModel("+", (((-44, -29), (-19, -9)),))
    assert Interval(10, 20).mirrored().mirrored() == (10, 20)


def test_distance_from_the_nearest_exon() -> None:
    gene = GeneModel("+", ((Interval(10, 20), Interval(30, 45)),))
    assert [gene.distance_bp(pos0) for pos0 in (5, 9, 10, 19, 20, 24, 25, 29, 30, 50)] == [
        5, 1, 0, 0, 1, 5, 5, 1, 0, 6,
    ]  # fmt: skip
