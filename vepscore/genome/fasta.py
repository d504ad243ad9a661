"""The reference genome: a FASTA file, plain or bgzip, read through its index.

Coordinates are 0-based and half-open.
"""

import gzip
import hashlib
import itertools
import logging
import os
import re
import threading
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from vepscore.errors import GenomeError
from vepscore.genome import cache
from vepscore.genome.cache import file_digest, file_stamp, published
from vepscore.genome.contigs import ContigNames

log = logging.getLogger(__name__)

_GZIP_MAGIC = b"\x1f\x8b"
_BGZF_SUBFIELD = slice(12, 14)  # of a block's header; holds "BC" in bgzip files
_INDEX_LINE = re.compile(rb"([^\s\0]+)" + rb"\t(\d{1,18})" * 4 + rb"\r?")
_LONGEST_HEADER = 1 << 16
_LONGEST_LINE_END = 64

# The bases that a FASTA letter may stand for. N is left out: an unknown base confirms nothing.
_BASES_OF_LETTER = {
    **{"A": "A", "C": "C", "G": "G", "T": "T", "U": "T"},
    **{"R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC"},
    **{"B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG"},
}


def _base_sets(letters: str) -> np.ndarray:
    """uint8 (256,): a bit for each base that the letter may stand for, either case; 0 for other letters."""
    table = np.zeros(256, np.uint8)
    for letter in letters:
        bits = sum(1 << "ACGT".index(base) for base in _BASES_OF_LETTER[letter])
        table[[ord(letter), ord(letter.lower())]] = bits
    return table


_FASTA_BASES = _base_sets("".join(_BASES_OF_LETTER))
_REF_BASES = _base_sets("ACGT")


def reference_matches(reference_bases: bytes, ref: str) -> bool:
    """Whether the VCF's REF agrees with the reference genome's bases at its place, in either case.

    An ambiguity code in the genome agrees with each of the bases it stands for; N agrees with nothing.
    """
    if len(reference_bases) != len(ref):
        return False
    found = _FASTA_BASES[np.frombuffer(reference_bases, np.uint8)]
    stated = _REF_BASES[np.frombuffer(ref.encode("ascii", "replace"), np.uint8)]
    return bool(np.all(found & stated))


class Reference:
    """A reference genome.

    Attributes:
        path: the FASTA file.
        contigs: name → length in bp, in the file's order.
        names: the contigs' names, with the aliases met so far.
    """

    def __init__(self, path: Path | str, cache_dir: Path | None = None) -> None:
        """Opens the FASTA; makes its index when absent, in the cache where the FASTA's folder is read-only.

        Args:
            path: the FASTA file, plain or bgzip.
            cache_dir: the cache directory; `cache.cache_dir()` when None.

        Raises:
            GenomeError: the file is missing, empty, no FASTA or plain gzip, or its index does not fit it.
        """
        import pysam

        self.path = Path(path)
        self._cache_dir = cache_dir or cache.cache_dir()
        is_bgzip = _is_bgzip(self.path)
        index = _find_index(self.path, is_bgzip, self._cache_dir)
        block_index = str(_block_index(index)) if is_bgzip else None
        try:
            self._file = pysam.FastaFile(
                str(self.path), filepath_index=str(index), filepath_index_compressed=block_index
            )
        except (OSError, ValueError) as error:
            raise GenomeError(
                f"{self.path} cannot be opened\n{error}", hint=_reindex_hint(self.path)
            ) from error
        if not is_bgzip:
            _check_index(self.path, index)
        # htslib's file handle has one position, and fetches may come from several threads.
        self._lock = threading.Lock()
        self.contigs = dict(zip(self._file.references, self._file.lengths, strict=True))
        self.names = ContigNames(self.contigs)

    def match(self, name: str) -> str | None:
        """The contig that `name` means, as the FASTA calls it; None where there is none or more than one."""
        return self.names.match(name)

    def fetch(self, chrom: str, start0: int, end0: int) -> bytes:
        """Upper-case bases of [start0, end0), N where that reaches past the contig's ends.

        Args:
            chrom: the contig, as the FASTA calls it.
            start0: may be negative.
            end0: exclusive; may lie past the contig's end.

        Raises:
            GenomeError: the file is damaged or shorter than its index says.
        """
        first0, last0 = max(start0, 0), min(end0, self.contigs[chrom])
        if first0 >= last0:
            return b"N" * (end0 - start0)
        bases = self._read(chrom, first0, last0)
        return b"N" * (first0 - start0) + bases + b"N" * (end0 - last0)

    def digest(self) -> str:
        """sha256 of the file in hex, remembered in the cache directory."""
        return file_digest(self.path, self._cache_dir)

    def _read(self, chrom: str, start0: int, end0: int) -> bytes:
        try:
            with self._lock:
                bases = self._file.fetch(chrom, start0, end0).encode("ascii").upper()
        except (OSError, ValueError) as error:
            raise self._damaged(chrom, start0, end0) from error
        if len(bases) != end0 - start0 or b">" in bases:  # of a header
            raise self._damaged(chrom, start0, end0)
        return bases

    def _damaged(self, chrom: str, start0: int, end0: int) -> GenomeError:
        # htslib reports a file that ends too early as "No such file or directory", so its words are left out.
        return GenomeError(
            f"{self.path} cannot be read at {chrom}:{start0 + 1}-{end0}\n"
            "the file is damaged or cut off, or its index does not fit it",
            hint=_reindex_hint(self.path),
        )


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
        raise GenomeError(f"{path} {found}\nexpected a FASTA file, which starts with '>'")
    return compressed


def _first_byte(path: Path) -> tuple[bool, bytes]:
    """Whether the file is bgzip, and the first byte of its contents; none where it is empty."""
    with path.open("rb") as file:
        head = file.read(18)
    if not head.startswith(_GZIP_MAGIC):
        return False, head[:1]
    if head[_BGZF_SUBFIELD] != b"BC":
        raise GenomeError(
            f"{path} is plain gzip\nexpected bgzip or no compression, so that it can be read from any place",
            hint=f"gunzip {path} && bgzip {path.with_suffix('')}",
        )
    with gzip.open(path) as file:
        return True, file.read(1)


def _find_index(path: Path, is_bgzip: bool, cache_dir: Path) -> Path:
    """The .fai to read `path` with, made when absent. With bgzip its .gzi lies beside it."""
    beside = path.with_name(path.name + ".fai")
    if not (beside.exists() and (_block_index(beside).exists() or not is_bgzip)):
        try:
            return _make_index(path, beside, is_bgzip)
        except OSError as error:
            log.debug("no index can be written beside %s: %s", path, error)
            return _index_in_cache(path, is_bgzip, cache_dir)
    if beside.stat().st_mtime_ns >= path.stat().st_mtime_ns:
        return beside
    # Copying reorders the times of a FASTA and its index, so that the time alone does not condemn the index.
    fresh = _index_in_cache(path, is_bgzip, cache_dir)
    if fresh.read_bytes().splitlines() != beside.read_bytes().splitlines():
        raise GenomeError(
            f"{beside} does not fit {path}\nthe FASTA was changed after its index was made",
            hint=_reindex_hint(path),
        )
    return fresh


def _index_in_cache(path: Path, is_bgzip: bool, cache_dir: Path) -> Path:
    key = hashlib.sha256(file_stamp(path).encode()).hexdigest()[:32]
    index = cache_dir / "fasta" / f"{key}.fai"
    if index.exists() and (_block_index(index).exists() or not is_bgzip):
        return index
    try:
        return _make_index(path, index, is_bgzip)
    except OSError as error:
        raise GenomeError(
            f"{path} has no index, and none can be written to its folder or to {cache_dir}\n{error}",
            hint=f"samtools faidx {path}, or set VEPSCORE_CACHE to a folder that can be written",
        ) from error


def _make_index(path: Path, index: Path, is_bgzip: bool) -> Path:
    """Writes `index`, a .fai, and with bgzip its .gzi.

    Raises:
        GenomeError: htslib cannot make sense of the file.
        OSError: `index` cannot be written.
    """
    import pysam

    log.info("indexing %s", path)
    with published(index) as partial:
        try:
            pysam.faidx(str(path), "--fai-idx", str(partial), "--gzi-idx", str(_block_index(partial)))
        except pysam.SamtoolsError as error:
            raise GenomeError(
                f"{path} cannot be indexed\n{error}",
                hint="each sequence needs lines of one length, but for its last; htslib's message is above",
            ) from error
        if is_bgzip:
            os.replace(_block_index(partial), _block_index(index))
    return index


def _check_index(path: Path, index: Path) -> None:
    """Looks whether each sequence of a plain FASTA begins and ends where the index says: a wrong one reads other bases.

    Raises:
        GenomeError: it does not, or two of them overlap.
    """
    ends = {0: 0}  # of the sequences, by where they begin
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
                    hint=_reindex_hint(path),
                )
    for begin, following in itertools.pairwise(sorted(ends)):
        if ends[begin] > following:
            raise GenomeError(
                f"{index} does not fit {path}\nit has a sequence at byte {following} that is within another",
                hint=_reindex_hint(path),
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
    before = os.pread(file, min(offset, _LONGEST_HEADER), max(0, offset - _LONGEST_HEADER))
    header = before.rstrip(b"\r\n").rpartition(b"\n")[2]
    if (
        length < 0
        or not before.endswith(b"\n")
        or not (header + b" ").replace(b"\t", b" ").startswith(b">%s " % name)
    ):
        return False
    if length > line_bases:
        between = os.pread(file, min(line_bytes - line_bases, _LONGEST_LINE_END), offset + line_bases)
        if len(between) != line_bytes - line_bases or not between.isspace():
            return False
    behind = os.pread(file, 3, sequence.end)
    if length > 0 and behind[:1] not in (b"", b"\r", b"\n"):
        return False
    return behind.strip(b"\r\n")[:1] in (b"", b">")


def _block_index(index: Path) -> Path:
    """The .gzi that goes with a .fai."""
    return index.with_suffix(".gzi")


def _reindex_hint(path: Path) -> str:
    return f"make the index anew: samtools faidx {path}"
