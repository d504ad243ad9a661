"""The index of a FASTA file: find or build it, and compare it with the file.

The index is a .fai file; a bgzipped FASTA also has a .gzi file.
"""

import gzip
import hashlib
import itertools
import logging
import mmap
import os
import re
from pathlib import Path
from typing import NamedTuple

from vepscore.errors import GenomeError
from vepscore.genome.cache import file_stamp, published
from vepscore.genome.text_file import BYTE_ORDER_MARK, GZIP_MAGIC
from vepscore.paths import safe_name, scratch_folder, utf8_path

log = logging.getLogger(__name__)

_BGZF_SUBFIELD = slice(12, 14)  # bytes of a gzip header that are "BC" in bgzip files
# Strict: htslib ends names and numbers at any space or NUL, and reads some lines differently.
_INDEX_LINE = re.compile(rb"([^\s\0]*)" + rb"\t(\d{1,18})" * 4 + rb"\r?")
_LONGEST_HEADER, _LONGEST_LINE_END = 1 << 20, 64  # bytes


def find_index(path: Path, cache_dir: Path) -> tuple[Path, Path | None]:
    """Return the .fai of a FASTA, and its .gzi if it is bgzipped. Missing indexes are built.

    Raises:
        GenomeError: the FASTA is missing, empty, not FASTA or plain gzip, or the index does not match it.
    """
    compressed = _is_bgzip(path)
    index = _find(path, compressed, cache_dir)
    if compressed:
        return index, _block_index(index)
    _check(path, index)
    return index, None


def _is_bgzip(path: Path) -> bool:
    """Return whether the FASTA is bgzipped; False if it is uncompressed.

    Raises:
        GenomeError: it is missing, empty, not FASTA or plain gzip.
    """
    if not path.is_file():
        raise GenomeError(f"{path}: no such file", hint="give the reference genome's FASTA with --reference")
    try:
        with path.open("rb") as file:
            head = file.read(18)
        is_bgzip = head.startswith(GZIP_MAGIC)
        if is_bgzip and head[_BGZF_SUBFIELD] != b"BC":
            raise GenomeError(
                f"{path}\nis plain gzip, expected bgzip or no compression, which allow random access",
                hint=f"gunzip {path} && bgzip {path.with_suffix('')}",
            )
        if is_bgzip:
            with gzip.open(path) as text:
                head = text.read(1)
    except (OSError, EOFError) as error:
        raise GenomeError(
            f"{path}\ncannot be read: {error}", hint="check that the file is complete"
        ) from error
    first = head[:1]
    if first != b">":
        found = f"starts with {first!r}" if first else "is empty"
        is_marked = first == BYTE_ORDER_MARK[:1]
        raise GenomeError(
            f"{path}\n{'starts with a byte order mark' if is_marked else found}, "
            "expected a FASTA file, which starts with '>'",
            hint="remove the mark, for example with `tail -c +4`" if is_marked else None,
        )
    return is_bgzip


def _find(path: Path, compressed: bool, cache_dir: Path) -> Path:
    """Return the .fai, building it if it is missing. A bgzipped FASTA has its .gzi beside the .fai."""
    beside = path.with_name(path.name + ".fai")
    if not _is_complete(beside, compressed):
        try:
            return _make_index(path, beside, compressed)
        except OSError as error:
            log.debug("cannot write an index beside %s: %s", path, error)
            return _index_in_cache(path, compressed, cache_dir)
    if beside.stat().st_mtime_ns >= path.stat().st_mtime_ns:
        return beside
    # Copying may change the order of modification times, so an older index may still be right: compare the contents.
    fresh = _index_in_cache(path, compressed, cache_dir)
    if fresh.read_bytes().splitlines() != beside.read_bytes().splitlines():
        raise GenomeError(
            f"{beside}\ndoes not match {path}: the FASTA was modified after the index was built",
            hint=reindex_hint(path),
        )
    return fresh


def _index_in_cache(path: Path, compressed: bool, cache_dir: Path) -> Path:
    """Return the index in the cache, or in the temporary folder if the cache cannot be written."""
    key = hashlib.sha256(file_stamp(path).encode()).hexdigest()[:32]
    name = f"fasta/{key}.fai"
    try:
        return _kept_index(path, cache_dir / name, compressed)
    except OSError as error:
        log.info("using a temporary index of %s: %s", path, error)
    try:
        return _kept_index(path, scratch_folder() / name, compressed)
    except OSError as error:
        raise GenomeError(
            f"{path}\nhas no index, and none can be written to its folder or to {cache_dir}: {error}",
            hint=f"run `samtools faidx {path}`, or set VEPSCORE_CACHE to a writable folder",
        ) from error


def _kept_index(path: Path, index: Path, compressed: bool) -> Path:
    return index if _is_complete(index, compressed) else _make_index(path, index, compressed)


def _is_complete(index: Path, compressed: bool) -> bool:
    return index.exists() and (_block_index(index).exists() or not compressed)


def _make_index(path: Path, index: Path, compressed: bool) -> Path:
    """Build the .fai `index`, and the .gzi of a bgzipped FASTA.

    Raises:
        GenomeError: htslib cannot index the file.
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
                f"{path}\ncannot be indexed: {error}",
                hint="all lines of a sequence except the last must have the same length; see htslib's message above",
            ) from error
        if compressed:
            os.replace(_block_index(made), _block_index(index))
        os.replace(made, partial)
    return index


def _check(path: Path, index: Path) -> None:
    """Check that each sequence of an uncompressed FASTA starts and ends where the index says.

    A wrong index would return wrong bases.

    Raises:
        GenomeError: a sequence does not, or two sequences overlap.
    """
    ends: dict[int, int] = {}  # end of each sequence by its start, in bytes
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        for line in index.read_bytes().removesuffix(b"\n").split(b"\n"):
            match = _INDEX_LINE.fullmatch(line)
            sequence = match and _Indexed(match[1], *map(int, match.groups()[1:]))
            if not sequence or sequence.offset in ends or not _fits(text, sequence):
                raise GenomeError(
                    f"{index}\ndoes not match {path}: the file has no such sequence as {line[:60]!r}",
                    hint=reindex_hint(path),
                )
            ends[sequence.offset] = sequence.end
    for start, following in itertools.pairwise(sorted(ends)):
        if ends[start] > following:
            raise GenomeError(
                f"{index}\ndoes not match {path}: the sequence at byte {following} overlaps another",
                hint=reindex_hint(path),
            )


class _Indexed(NamedTuple):
    """A sequence, as described by one line of a .fai."""

    name: bytes
    length: int
    offset: int  # byte of the first base
    line_bases: int
    line_bytes: int

    @property
    def end(self) -> int:
        """Return the offset of the byte after the last base."""
        lines, rest = divmod(max(self.length - 1, 0), self.line_bases or 1)
        return self.offset + lines * self.line_bytes + rest + bool(self.length)


def _fits(text: mmap.mmap, sequence: _Indexed) -> bool:
    """Return whether a header with that name precedes the sequence, and the sequence ends where it should."""
    name, length, offset, line_bases, line_bytes = sequence
    if length and not line_bases:
        return False
    if offset >= len(text):
        return length > 0  # the file is truncated, which is reported when the sequence is read
    if _name_before(text, offset) != name:
        return False
    if length > line_bases:
        line_end = offset + line_bases
        between = text[line_end : line_end + min(line_bytes - line_bases, _LONGEST_LINE_END)]
        if len(between) != line_bytes - line_bases or not between.isspace():
            return False
    after = text[sequence.end : sequence.end + _LONGEST_LINE_END]
    if length > 0 and after and not after[:1].isspace():
        return False
    return after.lstrip()[:1] in (b"", b">")


def _name_before(text: mmap.mmap, offset: int) -> bytes | None:
    """Return the name that htslib reads in the header that ends at a byte offset; None if no header ends there.

    The name is the first word, ignoring spaces before it; b"" if there is none.
    """
    end = offset
    while end > 0 and text[end - 1] in b"\r\n":
        end -= 1
    first = max(0, end - _LONGEST_HEADER)
    header = text[max(first, text.rfind(b"\n", first, end) + 1) : end]
    if text[offset - 1 : offset] != b"\n" or not header.startswith(b">"):
        return None
    return b"".join(header[1:].split()[:1]).partition(b"\0")[0]


def _block_index(index: Path) -> Path:
    """Return the path of the .gzi that belongs to a .fai."""
    return index.with_suffix(".gzi")


def reindex_hint(path: Path) -> str:
    """Return the hint for an index that does not match its FASTA."""
    return f"rebuild the index: samtools faidx {path}"
