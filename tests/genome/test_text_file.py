"""Text files: compressed or not, with any line ends, with and without a byte order mark."""

import gzip
from pathlib import Path

import pytest

from vepscore.errors import AnnotationError, UsageError
from vepscore.genome.text_file import open_text


@pytest.mark.parametrize(
    "data", [b"\xef\xbb\xbfPlus\r\nMinus\r\n", b"Plus\nMinus\n", gzip.compress(b"\xef\xbb\xbfPlus\nMinus\n")]
)
def test_a_byte_order_mark_is_skipped(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "genes.txt"
    path.write_bytes(data)
    with open_text(path, UsageError) as lines:
        assert list(lines) == ["Plus\n", "Minus\n"]


def test_text_in_another_encoding_is_refused_only_if_strict(tmp_path: Path) -> None:
    path = tmp_path / "genes.txt"
    path.write_bytes("Plus\n".encode("utf-16"))
    with (
        pytest.raises(
            UsageError, match=r"--gene genes.txt\n  is not UTF-8 text(.|\n)*hint: save it as UTF-8"
        ),
        open_text(path, UsageError, where="--gene genes.txt", strict=True) as lines,
    ):
        list(lines)
    with open_text(path, UsageError) as lines:
        assert "\N{REPLACEMENT CHARACTER}" in "".join(lines)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="is not a regular file"), open_text(tmp_path, AnnotationError):
        pass
