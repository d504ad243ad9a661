"""An evaluation as tab-separated text."""

from collections.abc import Iterator

from vepscore.evaluate.evaluation import Evaluation, EvaluationRow
from vepscore.io.fields import format_float
from vepscore.io.header import provenance_lines

COLUMNS = ("predictor", "stratum", "metric", "n", "n_positive", "value", "low", "high")


def tsv_lines(evaluation: Evaluation) -> Iterator[str]:
    """Yield `##key=value` lines, column names, and a row per metric, without line ends; missing values are empty."""
    yield from provenance_lines(evaluation.provenance)
    yield from evaluation.read.provenance
    yield "\t".join(COLUMNS)
    for row in evaluation.rows:
        yield "\t".join(row_cells(row))


def distinct_rows(evaluation: Evaluation) -> Iterator[EvaluationRow]:
    """Yield the rows without parts of a stratum that have no alleles, or all of the stratum's."""
    alleles = {row.stratum: row.n for row in evaluation.rows}
    for row in evaluation.rows:
        if row.part_of is None or 0 < row.n < alleles[row.part_of]:
            yield row


def row_cells(row: EvaluationRow) -> tuple[str, ...]:
    """Return a row's cells in the order of COLUMNS."""
    positive = "" if row.positive is None else str(row.positive)
    values = (row.estimate.value, row.estimate.low, row.estimate.high)
    numbers = (format_float(value, missing="") for value in values)
    return row.predictor, row.stratum, row.metric, str(row.n), positive, *numbers
