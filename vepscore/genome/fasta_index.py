"""The index of a FASTA file: found or made, and compared with the file.

With bgzip, a .gzi goes with the .fai.
"""

import gzip
import hashlib
import itertools
import logging
import os
import re
from pathlib import Path
from typing import NamedTuple, Self

from vepscore.errors import GenomeError
from vepscore.genome.cache import file_stamp, published
from vepscore.genome.text_file import BYTE_ORDER_MARK, GZIP_MAGIC
from vepscore.paths import safe_name, scratch_folder, utf8_path

log = logging.getLogger(__name__)

_BGZF_SUBFIELD = slice(12, 14)  # of a block's header; holds "BC" in bgzip files
_INDEX_LINE = re.compile(rb"([^\s\0]*)" + rb"\t(\d{1,18})" * 4 + rb"\r?")
_SHORT_HEADER, _LONGEST_HEADER = 1 << 8, 1 << 20  # the first is tried first: an index may have 10^5 lines
_LONGEST_LINE_END = 64


def find_index(path: Path, cache_dir: Path) -> tuple[Path, Path | None]:
    """The .fai to read a FASTA with, and the .gzi where that is bgzip; made when absent.

    Raises:
        GenomeError: the FASTA is missing, empty, no FASTA or plain gzip, or the index does not fit it.
    """
    compressed = _is_bgzip(path)
    index = _find(path, compressed, cache_dir)
    if compressed:
        return index, _block_index(index)
    _check(path, index)
    return index, None


def _is_bgzip(path: Path) -> bool:
    """Whether the FASTA is bgzip rather than plain.

    Raises:
        GenomeError: it is missing, empty, no FASTA or plain gzip.
    """
    if not path.is_file():
        raise GenomeError(f"{path}: no such file", hint="give the reference genome's FASTA with --reference")
    try:
        compressed, first = _first_byte(path)
    except (OSError, EOFError) as error:
        raise GenomeError(f"{path} cannot be read\n{error}", hint="is the file complete?") from error
    if first != b">":
        found = f"starts with {first!r}" if first else "is empty"
        is_marked = first == BYTE_ORDER_MARK[:1]
        raise GenomeError(
            f"{path} {'starts with a byte order mark' if is_marked else found}\n"
            "expected a FASTA file, which starts with '>'",
            hint="remove the mark, with `tail -c +4` for instance" if is_marked else None,
        )
    return compressed


def _first_byte(path: Path) -> tuple[bool, bytes]:
    """Whether the file is bgzip, and the first byte of its contents; none where it is empty."""
    with path.open("rb") as file:
        head = file.read(18)
    if not head.startswith(GZIP_MAGIC):
        return False, head[:1]
    if head[_BGZF_SUBFIELD] != b"BC":
        raise GenomeError(
            f"{path} is plain gzip\nexpected bgzip or no compression, so that it can be read from any place",
            hint=f"gunzip {path} && bgzip {path.with_suffix('')}",
        )
    with gzip.open(path) as file:
        return True, file.read(1)


def _find(path: Path, compressed: bool, cache_dir: Path) -> Path:
    """The .fai, made when absent. With bgzip its .gzi lies beside it."""
    beside = path.with_name(path.name + ".fai")
    if not (beside.exists() and (_block_index(beside).exists() or not compressed)):
        try:
            return _make_index(path, beside, compressed)
        except OSError as error:
            log.debug("no index can be written beside %s: %s", path, error)
            return _index_in_cache(path, compressed, cache_dir)
    if beside.stat().st_mtime_ns >= path.stat().st_mtime_ns:
        return beside
    # Copying reorders the times of a FASTA and its index, so that the time alone does not condemn the index.
    fresh = _index_in_cache(path, compressed, cache_dir)
    if fresh.read_bytes().splitlines() != beside.read_bytes().splitlines():
        raise GenomeError(
            f"{beside} does not fit {path}\nthe FASTA was changed after its index was made",
            hint=reindex_hint(path),
        )
    return fresh


def _index_in_cache(path: Path, compressed: bool, cache_dir: Path) -> Path:
    """The index in the cache; in the temporary folder where the cache cannot be written."""
    key = hashlib.sha256(file_stamp(path).encode()).hexdigest()[:32]
    try:
        return _index_in(cache_dir / "fasta", key, path, compressed)
    except OSError as error:
        log.info("the index of %s is kept for this run only: %s", path, error)
    try:
        return _index_in(scratch_folder() / "fasta", key, path, compressed)
    except OSError as error:
        raise GenomeError(
            f"{path} has no index, and none can be written to its folder or to {cache_dir}\n{error}",
            hint=f"samtools faidx {path}, or set VEPSCORE_CACHE to a folder that can be written",
        ) from error


def _index_in(folder: Path, key: str, path: Path, compressed: bool) -> Path:
    index = folder / f"{key}.fai"
    if index.exists() and (_block_index(index).exists() or not compressed):
        return index
    return _make_index(path, index, compressed)


def _make_index(path: Path, index: Path, compressed: bool) -> Path:
    """Writes `index`, a .fai, and with bgzip its .gzi.

    Raises:
        GenomeError: htslib cannot make sense of the file.
        OSError: `index` cannot be written.
    """
    import pysam

    log.info("indexing %s", path)
    with published(index) as partial:
        folder = utf8_path(partial.parent)
        made = folder / safe_name(partial.name)
        try:
            pysam.faidx(str(utf8_path(path)), "--fai-idx", str(made), "--gzi-idx", str(_block_index(made)))
        except pysam.SamtoolsError as error:
            raise GenomeError(
                f"{path} cannot be indexed\n{error}",
                hint="each sequence needs lines of one length, but for its last; htslib's message is above",
            ) from error
        if compressed:
            os.replace(_block_index(made), _block_index(index))
        os.replace(made, partial)
    return index


def _check(path: Path, index: Path) -> None:
    """Looks whether each sequence of a plain FASTA begins and ends where the index says: a wrong one reads other bases.

    Raises:
        GenomeError: it does not, or two of them overlap.
    """
    ends: dict[int, int] = {}  # of the sequences, by where they begin
    with path.open("rb") as file:
        for line in index.read_bytes().removesuffix(b"\n").split(b"\n"):
            try:
                sequence = _Indexed.parse(line)
                fits = sequence.offset not in ends and _fits(file.fileno(), sequence)
                ends[sequence.offset] = sequence.end
            except (OSError, ValueError, ArithmeticError):
                fits = False
            if not fits:
                raise GenomeError(
                    f"{index} does not fit {path}\nthere is no such sequence as it says in {line[:60]!r}",
                    hint=reindex_hint(path),
                )
    for begin, following in itertools.pairwise(sorted(ends)):
        if ends[begin] > following:
            raise GenomeError(
                f"{index} does not fit {path}\nit has a sequence at byte {following} that is within another",
                hint=reindex_hint(path),
            )


class _Indexed(NamedTuple):
    """A sequence, as a line of a .fai has it."""

    name: bytes
    length: int
    offset: int  # byte of the first base
    line_bases: int
    line_bytes: int

    @classmethod
    def parse(cls, line: bytes) -> Self:
        """Strictly: htslib ends names and numbers at any space or NUL, and so reads some lines in another way.

        Raises:
            ValueError: it has not the columns of a .fai.
        """
        match = _INDEX_LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"no line of an index: {line!r}")
        return cls(match[1], *map(int, match.groups()[1:]))

    @property
    def end(self) -> int:
        """The byte behind the last base."""
        if self.length == 0:
            return self.offset
        lines, rest = divmod(self.length - 1, self.line_bases)
        return self.offset + lines * self.line_bytes + rest + 1


def _fits(file: int, sequence: _Indexed) -> bool:
    """Whether a header of that name ends where the sequence begins, and the sequence ends where it should."""
    name, length, offset, line_bases, line_bytes = sequence
    if offset >= os.fstat(file).st_size:
        return length > 0  # the file is cut short, which is an error where it is read
    header = _header_before(file, offset)
    if not header.startswith(b">") or _name(header) != name:
        return False
    if length > line_bases:
        between = os.pread(file, min(line_bytes - line_bases, _LONGEST_LINE_END), offset + line_bases)
        if len(between) != line_bytes - line_bases or not between.isspace():
            return False
    behind = os.pread(file, _LONGEST_LINE_END, sequence.end)
    if length > 0 and behind and not behind[:1].isspace():
        return False
    return behind.lstrip()[:1] in (b"", b">")


def _header_before(file: int, offset: int) -> bytes:
    """Return the last line that ends at a byte; nothing where no line ends there."""
    for length in (_SHORT_HEADER, _LONGEST_HEADER):
        before = os.pread(file, min(offset, length), max(0, offset - length))
        _, newline, header = before.rstrip(b"\r\n").rpartition(b"\n")
        if newline or length >= offset:
            break
    return header if before.endswith(b"\n") else b""


def _name(header: bytes) -> bytes:
    """Return the name that htslib reads in a header: its first word, whatever blanks stand before; none if blank."""
    return b"".join(header[1:].split()[:1]).partition(b"\0")[0]


def _block_index(index: Path) -> Path:
    """The .gzi that goes with a .fai."""
    return index.with_suffix(".gzi")


def reindex_hint(path: Path) -> str:
    """What to do where an index does not fit."""
    return f"make the index anew: samtools faidx {path}"
