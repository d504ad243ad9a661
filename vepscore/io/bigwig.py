"""Write bigWig files, which appear whole or not at all. Coordinates are 0-based and half-open."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import numpy as np

from vepscore.errors import OutputError, requiring
from vepscore.io.staged_writer import StagedWriter


def require_bigwig() -> ModuleType:
    """Return pyBigWig, an optional dependency; raise UsageError if it is not installed."""
    with requiring("bigWig files are written with pyBigWig", "tracks"):
        import pyBigWig
    return pyBigWig


class BigWigWriter(StagedWriter):
    """Write one track; `contigs` are the lengths in bp, by name, of the contigs that have values."""

    def __init__(self, path: Path, contigs: Mapping[str, int]) -> None:
        super().__init__(path)
        self._contigs = contigs

    def write(self, chrom: str, start0: np.ndarray, end0: np.ndarray, values: np.ndarray) -> None:
        """Add adjacent bins in ascending order, without the parts beyond the contig's ends.

        Args:
            chrom: the contig.
            start0: int (B,).
            end0: int (B,), exclusive.
            values: float (B,).

        Raises:
            OutputError: the file cannot be written.
        """
        start0, end0 = np.maximum(start0, 0), np.minimum(end0, self._contigs[chrom])
        widths = np.unique(end0 - start0)
        with self._library_errors():
            if len(widths) == 1:
                width = int(widths[0])
                self._file.addEntries(chrom, int(start0[0]), values=values.tolist(), span=width, step=width)
            else:
                self._file.addEntries(
                    [chrom] * len(values), start0.tolist(), ends=end0.tolist(), values=values.tolist()
                )

    def _open(self) -> None:
        with self._library_errors():
            self._file = require_bigwig().open(str(self._temporary), "w")
            self._file.addHeader(list(self._contigs.items()))

    def _close(self) -> None:
        with self._library_errors():
            super()._close()

    @contextlib.contextmanager
    def _library_errors(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise OutputError(f"{self.name}\ncannot be written: {error}") from error
