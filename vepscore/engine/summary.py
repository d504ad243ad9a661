"""Summarize the scores of one allele for a VCF: one value per field, and a detail per scorer and gene."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from vepscore.contract import ScoreMatrix, Scorer
from vepscore.genome.annotation import Gene
from vepscore.io.fields import COMPOSITE_FIELD, COMPOSITE_GENE_FIELD
from vepscore.io.results import Detail
from vepscore.outputs import Output, Tracks

# The composite: max(splice sites) + max(usage) + max(junctions) / 5.
# Source: Avsec et al., Nature 649:1206 (2026), Methods, splicing variant scoring.
COMPOSITE_WEIGHTS = {"VS_SS": 1.0, "VS_SSU": 1.0, "VS_SJ": 0.2}


def summarize_fields(
    matrices: Iterable[ScoreMatrix], scorers: Mapping[str, Scorer]
) -> dict[str, float | str]:
    """Return the value of each INFO field that has one: the score of largest magnitude over genes and tracks."""
    fields: dict[str, float | str] = {}
    by_gene: dict[Gene, dict[str, float]] = {}
    for matrix in matrices:
        scorer = scorers[matrix.scorer]
        best = _largest(matrix.values)
        if scorer.info_field is None or best is None:
            continue
        row, track = best
        fields[scorer.info_field] = float(matrix.values[row, track])
        gene = matrix.genes[row]
        if scorer.info_gene_field is not None and gene is not None:
            fields[scorer.info_gene_field] = gene.name
        if scorer.info_field in COMPOSITE_WEIGHTS:
            _collect_parts(by_gene, scorer.info_field, matrix)
    return fields | _composite(fields, by_gene)


def signed_names(scorers: Collection[Scorer]) -> frozenset[str]:
    """Return the scorers and fields whose scores are signed. The composite is not: its parts are magnitudes."""
    signed = [scorer for scorer in scorers if scorer.is_signed]
    return frozenset(name for scorer in signed for name in (scorer.name, scorer.info_field) if name)


def summarize_details(
    matrices: Iterable[ScoreMatrix], tracks: Mapping[Output, Tracks], overlapping: Sequence[Gene]
) -> tuple[Detail, ...]:
    """Return an entry per scorer and gene, of the track with the largest magnitude; with labels, an entry per row.

    The genes are those that the variant overlaps and the one with the largest score. A scorer without genes has one
    entry.
    """
    overlapped = {gene.gene_id for gene in overlapping}
    details = []
    for matrix in matrices:
        best = _largest(matrix.values)
        if best is None:
            continue
        best_gene = matrix.genes[best[0]]
        entries: dict[tuple[Gene | None, int | None], list[int]] = {}
        for row, gene in enumerate(matrix.genes):
            if gene is None or gene == best_gene or gene.gene_id in overlapped:
                entries.setdefault((gene, None if matrix.labels is None else row), []).append(row)
        for (gene, _), rows in entries.items():
            detail = _detail(matrix, gene, rows, tracks[matrix.output])
            if detail is not None:
                details.append(detail)
    return tuple(details)


def _detail(matrix: ScoreMatrix, gene: Gene | None, rows: Sequence[int], tracks: Tracks) -> Detail | None:
    values = matrix.values[rows]
    best = _largest(values)
    if best is None:
        return None
    return Detail(
        scorer=matrix.scorer,
        score=float(values[best]),
        gene_id=gene.gene_id if gene else "",
        symbol=gene.name if gene else "",
        track=_row_name(matrix, rows[0]) if matrix.labels else tracks.name[best[1]],
        biosample=tracks.biosample_name[best[1]],
    )


def _row_name(matrix: ScoreMatrix, row: int) -> str:
    """Return the row's label and, after a colon, its 1-based position if it has one."""
    assert matrix.labels is not None
    position0 = -1 if matrix.positions is None else matrix.positions[row]
    return matrix.labels[row] if position0 < 0 else f"{matrix.labels[row]}:{position0 + 1}"


def _collect_parts(by_gene: dict[Gene, dict[str, float]], field: str, matrix: ScoreMatrix) -> None:
    """Add each gene's largest score under the field."""
    for row, gene in enumerate(matrix.genes):
        best = _largest(matrix.values[row : row + 1])
        if gene is not None and best is not None:
            parts = by_gene.setdefault(gene, {})
            parts[field] = max(parts.get(field, 0.0), float(matrix.values[row, best[1]]))


def _composite(
    fields: Mapping[str, float | str], by_gene: Mapping[Gene, Mapping[str, float]]
) -> dict[str, float | str]:
    """Return the composite over all genes, and the gene whose own composite is the largest."""
    if not by_gene:
        return {}
    parts = {field: float(fields[field]) for field in COMPOSITE_WEIGHTS if field in fields}
    strongest = max(by_gene, key=lambda gene: _weigh(by_gene[gene]))
    return {COMPOSITE_FIELD: _weigh(parts), COMPOSITE_GENE_FIELD: strongest.name}


def _weigh(parts: Mapping[str, float]) -> float:
    return sum(COMPOSITE_WEIGHTS[field] * value for field, value in parts.items())


def _largest(values: Float[np.ndarray, "rows tracks"]) -> tuple[int, int] | None:
    """Return row and column of the value of largest magnitude, the first of equal ones; None if all are NaN."""
    size = np.abs(values)
    if not size.size or np.isnan(size).all():
        return None
    row, column = np.unravel_index(np.nanargmax(size), size.shape)
    return int(row), int(column)
