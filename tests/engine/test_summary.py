"""Test fields, genes, the composite and details on hand-made matrices."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pytest

from tests.io.samples import MYGENE, tracks_of
from vepscore.contract import ScoreMatrix
from vepscore.engine.scorer_plugins import load_scorers
from vepscore.engine.summary import summarize_details, summarize_fields
from vepscore.genome.annotation import Gene
from vepscore.outputs import Output

NAN = math.nan
SCORERS = {
    scorer.name: scorer
    for scorer in load_scorers(
        ["ATAC", "ATAC_ACTIVE", "RNA_SEQ", "SPLICE_SITES", "SPLICE_SITE_USAGE", "SPLICE_JUNCTIONS"]
    )
}
TRACKS = {output: tracks_of(output, 3) for output in Output}


def gene(name: str) -> Gene:
    return dataclasses.replace(MYGENE, gene_id=f"ENSG_{name}", name=name)


A, B, C = map(gene, "ABC")


def matrix(name: str, values: Sequence[Sequence[float]], *genes: Gene) -> ScoreMatrix:
    """Return a matrix of three tracks; about no gene if none is given."""
    scores = np.array(values, np.float32).reshape(-1, 3)
    return ScoreMatrix(
        scorer=name, output=SCORERS[name].output, values=scores, genes=genes or (None,) * len(scores)
    )


def fields(*matrices: ScoreMatrix) -> dict[str, float | str]:
    return summarize_fields(matrices, SCORERS)


def details(*matrices: ScoreMatrix, overlapping: Sequence[Gene] = ()) -> list[tuple[str, str, float, str]]:
    """Return scorer, gene, score and track of each entry, and check that the others agree with them."""
    entries = summarize_details(matrices, TRACKS, overlapping)
    for entry in entries:
        assert entry.gene_id == (f"ENSG_{entry.symbol}" if entry.symbol else "")
        assert entry.biosample == f"tissue {entry.track[-1]}"
    return [(entry.scorer, entry.symbol, entry.score, entry.track) for entry in entries]


def test_field_is_the_score_of_largest_magnitude_with_its_sign() -> None:
    assert fields(matrix("ATAC", [[0.5, -0.75, NAN]])) == {"VS_ATAC": -0.75}


def test_first_of_equal_scores_is_taken() -> None:
    assert fields(matrix("ATAC", [[-0.5, 0.5, 0.25]])) == {"VS_ATAC": -0.5}


def test_scorer_without_field_is_in_the_details_only() -> None:
    active = matrix("ATAC_ACTIVE", [[1, 2, 3]])
    assert fields(active) == {}
    assert details(active) == [("ATAC_ACTIVE", "", 3, "ATAC 2")]


def test_gene_of_expression_is_that_of_the_score() -> None:
    found = fields(matrix("RNA_SEQ", [[0.1, NAN, 0.2], [NAN, -0.5, 0.3]], A, B))
    assert found == {"VS_RNA": -0.5, "VS_RNA_GENE": "B"}


@pytest.mark.parametrize("values", [[[NAN, NAN, NAN]], []])
def test_matrix_without_a_score_adds_nothing(values: list[list[float]]) -> None:
    empty = matrix("RNA_SEQ", values, *([A] if values else []))
    assert fields(empty, matrix("SPLICE_JUNCTIONS", values, *empty.genes)) == {}
    assert details(empty, overlapping=[A]) == []


def test_nothing_scored_has_no_fields() -> None:
    assert fields() == {}
    assert details() == []


def test_composite_sums_the_largest_parts_over_all_genes() -> None:
    """The composite's gene is the one with the largest composite of its own."""
    found = fields(
        matrix("SPLICE_SITES", [[0.5, 0.25, NAN], [0.125, NAN, NAN]], A, B),
        matrix("SPLICE_SITE_USAGE", [[0.25, 0, NAN], [0.75, NAN, 0]], A, B),
        matrix("SPLICE_JUNCTIONS", [[1, 5, 0], [2, 2, 2]], A, B),
    )
    assert found == {
        "VS_SS": 0.5,
        "VS_SSU": 0.75,
        "VS_SJ": 5,
        "VS_SPLICE": pytest.approx(0.5 + 0.75 + 5 / 5),
        "VS_SPLICE_GENE": "A",
    }


def test_composite_goes_without_missing_parts() -> None:
    """A gene may lack junctions while another has them, and a checkpoint may predict sites alone."""
    sites = matrix("SPLICE_SITES", [[0.5, 0.25, 0], [0.4, 0, 0]], A, B)
    assert fields(sites) == {"VS_SS": 0.5, "VS_SPLICE": 0.5, "VS_SPLICE_GENE": "A"}
    junctions = matrix("SPLICE_JUNCTIONS", [[1, 0, 0]], B)
    found = fields(sites, junctions)
    assert found == {
        "VS_SS": 0.5,
        "VS_SJ": 1,
        "VS_SPLICE": pytest.approx(0.5 + 1 / 5),
        "VS_SPLICE_GENE": "B",
    }
    without_values = matrix("SPLICE_JUNCTIONS", [[NAN, NAN, NAN]], A)
    assert fields(sites, without_values) == fields(sites)


def test_composite_takes_the_largest_of_a_genes_junctions() -> None:
    found = fields(matrix("SPLICE_JUNCTIONS", [[1, 0, 0], [0, 4, 0], [3, 0, 0]], A, A, B))
    assert found == {"VS_SJ": 4, "VS_SPLICE": pytest.approx(0.8), "VS_SPLICE_GENE": "A"}


def test_composite_of_no_change_is_zero_not_missing() -> None:
    assert fields(matrix("SPLICE_SITES", [[0, 0, 0]], A)) == {
        "VS_SS": 0,
        "VS_SPLICE": 0,
        "VS_SPLICE_GENE": "A",
    }


def test_local_scores_make_no_composite() -> None:
    assert "VS_SPLICE" not in fields(matrix("ATAC", [[1, 2, 3]]), matrix("RNA_SEQ", [[1, 2, 3]], A))


def test_details_are_of_overlapped_genes_and_the_one_with_the_largest_score() -> None:
    expression = matrix("RNA_SEQ", [[0.1, 0.2, -0.3], [0.5, -0.75, 0], [0.4, NAN, 0.6]], A, B, C)
    assert details(expression, overlapping=[A]) == [
        ("RNA_SEQ", "A", pytest.approx(-0.3), "RNA_SEQ 2"),
        ("RNA_SEQ", "B", -0.75, "RNA_SEQ 1"),
    ]
    assert details(expression) == [("RNA_SEQ", "B", -0.75, "RNA_SEQ 1")]


def test_details_have_one_entry_for_all_junctions_of_a_gene() -> None:
    junctions = matrix("SPLICE_JUNCTIONS", [[1, 0, 0], [0, 4, 0], [3, 0, NAN]], A, A, B)
    assert details(junctions, overlapping=[A, B]) == [
        ("SPLICE_JUNCTIONS", "A", 4, "SPLICE_JUNCTIONS 1"),
        ("SPLICE_JUNCTIONS", "B", 3, "SPLICE_JUNCTIONS 0"),
    ]


def test_details_omit_an_overlapped_gene_without_a_score() -> None:
    sites = matrix("SPLICE_SITES", [[NAN, NAN, NAN], [0.5, NAN, NAN]], A, B)
    assert details(sites, overlapping=[A, B]) == [("SPLICE_SITES", "B", 0.5, "SPLICE_SITES 0")]


def test_details_of_labelled_rows_are_one_for_each_row() -> None:
    events = dataclasses.replace(
        matrix(
            "SPLICE_SITES", [[NAN, 0.5, NAN], [NAN, -0.25, NAN], [0, NAN, NAN], [1, NAN, NAN]], A, A, B, C
        ),
        positions=np.array([0, 99, -1, 7]),
        labels=("gain", "loss", "gain", "loss"),
    )
    entries = summarize_details([events], TRACKS, [A, B])
    assert [(entry.symbol, entry.score, entry.track, entry.biosample) for entry in entries] == [
        ("A", 0.5, "gain:1", "tissue 1"),
        ("A", -0.25, "loss:100", "tissue 1"),
        ("B", 0, "gain", "tissue 0"),
        ("C", 1, "loss:8", "tissue 0"),
    ]


def test_details_come_by_scorer_in_the_order_of_the_matrices() -> None:
    entries = details(matrix("ATAC", [[1, 2, 3]]), matrix("SPLICE_SITES", [[1, 0, 0]], A), overlapping=[A])
    assert [entry[0] for entry in entries] == ["ATAC", "SPLICE_SITES"]
