"""The reference genome: a FASTA file, plain or bgzip, read through its index.

Coordinates are 0-based and half-open.
"""

import threading
from pathlib import Path

import numpy as np

from vepscore.errors import GenomeError
from vepscore.genome import cache
from vepscore.genome.cache import file_digest
from vepscore.genome.contigs import ContigNames
from vepscore.genome.fasta_index import find_index, reindex_hint
from vepscore.paths import utf8_path

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
        index, blocks = find_index(self.path, self._cache_dir)
        try:
            self._file = pysam.FastaFile(
                str(utf8_path(self.path)),
                filepath_index=str(utf8_path(index)),
                filepath_index_compressed=blocks and str(utf8_path(blocks)),
            )
        except (OSError, ValueError) as error:
            raise GenomeError(
                f"{self.path} cannot be opened\n{error}", hint=reindex_hint(self.path)
            ) from error
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
            hint=reindex_hint(self.path),
        )
