"""The figures as tab-separated text."""

import math
from pathlib import Path

from vepscore.errors import UsageError
from vepscore.evaluate.run import Evaluation, Row
from vepscore.io.atomic import StagedFile, StagedWriter, writing
from vepscore.io.fields import format_float
from vepscore.io.header import provenance_lines
from vepscore.io.table import open_text

COLUMNS = ("predictor", "stratum", "metric", "n", "n_positive", "value", "low", "high")
SUFFIXES = (".tsv", ".tsv.gz")


class EvaluationWriter(StagedWriter):
    """Writes `##key=value` lines, the column names, and a row per figure; a missing value is an empty cell.

    Args:
        path: `.tsv` or `.tsv.gz`.

    Raises:
        UsageError: the path has another suffix than SUFFIXES.
    """

    def __init__(self, path: Path) -> None:
        check_suffix(path)
        super().__init__(StagedFile(path), path)

    def write(self, evaluation: Evaluation) -> None:
        """Writes all of an evaluation; once only.

        Raises:
            OutputError: the file cannot be written.
        """
        lines = [
            *provenance_lines(evaluation.provenance),
            *evaluation.read.provenance,
            "\t".join(COLUMNS),
            *("\t".join(row_cells(row)) for row in evaluation.rows),
        ]
        with writing(self.name):
            self._file.write("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))

    def _open(self) -> None:
        self._file = open_text(self._target.temporary)

    def _close(self) -> None:
        self._file.close()


def check_suffix(path: Path) -> None:
    """Refuses a path that does not end in one of SUFFIXES.

    Raises:
        UsageError: it does not.
    """
    if not path.name.endswith(SUFFIXES):
        raise UsageError(f"output {path}\nexpected a name that ends in {' or '.join(SUFFIXES)}")


def row_cells(row: Row) -> tuple[str, ...]:
    """A row's cells in the order of COLUMNS."""
    positive = "" if row.positive is None else str(row.positive)
    figures = (row.estimate.value, row.estimate.low, row.estimate.high)
    numbers = (format_float(None if math.isnan(figure) else figure, missing="") for figure in figures)
    return row.predictor, row.stratum, row.metric, str(row.n), positive, *numbers
