"""Write tab-separated text with `##key=value` lines before the column names."""

from collections.abc import Iterable
from pathlib import Path

from vepscore.io.atomic import StagedWriter, writing
from vepscore.io.streams import open_target, open_text_output, output_suffix

SUFFIXES = (".tsv", ".tsv.gz")


class TsvWriter(StagedWriter):
    """Writes formatted lines.

    Args:
        path: `.tsv`, `.tsv.gz` or a stream, which receives uncompressed text.

    Raises:
        UsageError: the path has none of SUFFIXES, or is a stream and the format requires a file.
    """

    def __init__(self, path: str | Path) -> None:
        self._suffix = output_suffix(path, SUFFIXES)
        super().__init__(open_target(path), path)

    def write(self, lines: Iterable[str]) -> None:
        """Write all lines, given without line ends; call it once.

        Raises:
            OutputError: the file cannot be written.
        """
        with writing(self.name):
            for line in lines:
                self._file.write(f"{line}\n".encode("utf-8", "surrogateescape"))

    def _open(self) -> None:
        self._file = open_text_output(self._target, self._suffix)

    def _close(self) -> None:
        self._file.close()
