"""The base of all writers, and the writer of text; both publish their file all-or-none."""

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vepscore.io.atomic import StagedFile, writing
from vepscore.io.streams import STDOUT, open_target, output_suffix
from vepscore.paths import escape_bytes


class StagedWriter:
    """A context manager that publishes its file on a clean exit and removes it otherwise.

    If several outputs must be published all-or-none, call `finish` on each before leaving the first context. Then only
    the renaming remains.

    Args:
        path: the output; "-" is standard output.
        suffixes: those that the path may have; any if there are none.
        companions: suffixes of the companion files, as in `StagedFile`.

    Raises:
        UsageError: the path has another suffix, or is a stream and the format requires a regular file.
    """

    def __init__(
        self, path: str | Path, suffixes: Sequence[str] = (), companions: tuple[str, ...] = ()
    ) -> None:
        self.name = "standard output" if str(path) == STDOUT else str(path)  # for messages
        self._suffix = output_suffix(path, suffixes) if suffixes else ""
        self._target = open_target(path, companions)
        self._file: Any = None
        self._is_open = False

    @property
    def _temporary(self) -> Path:
        """The temporary file of an output that is a regular file."""
        assert isinstance(self._target, StagedFile)
        return self._target.temporary

    def _open(self) -> None:
        """Open the file and write everything before the first record. Here: open it for text, or bgzip if `.gz`."""
        if self._suffix.endswith(".gz"):
            from pysam import BGZFile  # imported here to keep `vepscore --help` fast

            self._file = BGZFile(str(self._temporary), "wb", index=None)
        else:
            self._file = self._target.open()

    def _close(self) -> None:
        """Write buffered data and close what `_open` opened; called once, even after an error."""
        self._file.close()

    def _complete(self) -> None:
        """Create what requires the complete temporary file, such as an index, after it was closed."""

    def finish(self) -> None:
        """Write buffered data and close the temporary file, unless it is closed already.

        Raises:
            OutputError: the file cannot be written.
        """
        if self._is_open:
            self._is_open = False
            with writing(self.name):
                self._close()
                self._complete()

    def __enter__(self) -> Self:
        self._target.create()
        self._is_open = True
        try:
            with writing(self.name):
                self._open()
        except BaseException:
            self._abandon()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.finish()
                self._target.publish()
        finally:
            self._abandon()

    def _abandon(self) -> None:
        if self._is_open:
            self._is_open = False
            with contextlib.suppress(Exception):  # only the first error is reported
                self._close()
        self._target.discard()


class TextWriter(StagedWriter):
    """Write text, compressed with bgzip if the path ends in .gz."""

    def write(self, texts: Iterable[str]) -> None:
        """Write texts, one after the other; bytes that are not UTF-8 are surrogates.

        Raises:
            OutputError: the file cannot be written.
        """
        with writing(self.name):
            for text in texts:
                self._file.write(text.encode("utf-8", "surrogateescape"))


def to_json(document: Mapping[str, Any]) -> str:
    """Return a document as the text of a JSON file, valid Unicode."""
    return json.dumps(_escaped(document), indent=2, ensure_ascii=False) + "\n"


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return escape_bytes(value)
    if isinstance(value, Mapping):
        return {_escaped(key): _escaped(element) for key, element in value.items()}
    return [*map(_escaped, value)] if isinstance(value, list | tuple) else value
