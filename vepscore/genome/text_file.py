"""Open text files: uncompressed or gzipped, with any line ends, with or without a byte order mark."""

import contextlib
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from vepscore.errors import VepscoreError

ENCODING = "utf-8-sig"  # UTF-8; skips the byte order mark that Windows programs write first
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
GZIP_MAGIC = b"\x1f\x8b"
_BUFFER_BYTES = 1 << 20


@contextlib.contextmanager
def open_text(
    path: Path, error_type: type[VepscoreError], *, where: str = "", strict: bool = False
) -> Iterator[TextIO]:
    """Open a text file; gzip is detected from the content, and CRLF is read as LF.

    Args:
        path: the file.
        error_type: what to raise if it cannot be read.
        where: name of the file in messages. Default: the path.
        strict: refuse bytes that are not UTF-8; otherwise read them as U+FFFD.

    Raises:
        VepscoreError: of `error_type`: the file is missing, not a regular file, unreadable, a damaged gzip, or,
            with `strict`, not UTF-8.
    """
    where = where or str(path)
    try:
        if path.exists() and not path.is_file():
            raise error_type(f"{where}\nis not a regular file", hint="name a file; it is read more than once")
        with path.open("rb") as file:
            zipped = file.read(2) == GZIP_MAGIC
            file.seek(0)
            binary = gzip.GzipFile(fileobj=file) if zipped else file
            yield io.TextIOWrapper(
                io.BufferedReader(binary, _BUFFER_BYTES),
                encoding=ENCODING,
                errors="strict" if strict else "replace",
            )
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise error_type(f"{where}\nis damaged: {error}", hint="fetch or copy the file again") from error
    except UnicodeDecodeError as error:
        raise error_type(f"{where}\nis not UTF-8 text: {error}", hint="save it as UTF-8") from error
    except OSError as error:
        raise error_type(f"{where}\ncannot be read: {error.strerror or error}") from error
