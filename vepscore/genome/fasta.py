"""The reference genome: a FASTA file, uncompressed or bgzipped, read through its index.

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

# The bases that each FASTA letter stands for. N is missing, because an unknown base confirms no REF.
_BASES_OF_LETTER = {
    **{"A": "A", "C": "C", "G": "G", "T": "T", "U": "T"},
    **{"R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC"},
    **{"B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG"},
}


def _base_sets(letters: str) -> np.ndarray:
    """Return a table by ASCII code, uint8 (256,): one bit per base that a letter, in either case, stands for."""
    table = np.zeros(256, np.uint8)
    for letter in letters:
        bits = sum(1 << "ACGT".index(base) for base in _BASES_OF_LETTER[letter])
        table[[ord(letter), ord(letter.lower())]] = bits
    return table


_FASTA_BASES = _base_sets("".join(_BASES_OF_LETTER))
_REF_BASES = _base_sets("ACGT")


def reference_matches(reference_bases: bytes, ref: str) -> bool:
    """Return whether the VCF's REF matches the bases of the reference genome, in upper or lower case.

    An ambiguity code in the genome matches each of the bases it stands for; N matches nothing.
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
        contigs: length in bp by name, in file order.
        names: the contig names, with the aliases matched so far.
    """

    def __init__(self, path: Path | str, cache_dir: Path | None = None) -> None:
        """Open a FASTA. If it has no index, build one beside it, or in the cache if its folder is read-only.

        Args:
            path: the FASTA file, uncompressed or bgzipped.
            cache_dir: the cache directory; `cache.cache_dir()` if None.

        Raises:
            GenomeError: the file is missing, empty, not FASTA or plain gzip, or its index does not match it.
        """
        import pysam

        self.path = Path(path)
        self._cache_dir = cache_dir or cache.cache_dir()
        index, blocks = find_index(self.path, self._cache_dir)
        try:
            self._file = pysam.FastaFile(
                str(utf8_path(self.path)),
                filepath_index=str(utf8_path(index)),
                filepath_index_compressed=str(utf8_path(blocks)) if blocks else None,
            )
        except (OSError, ValueError) as error:
            raise GenomeError(
                f"{self.path}\ncannot be opened: {error}", hint=reindex_hint(self.path)
            ) from error
        # htslib's file handle has a single position, and several threads may fetch.
        self._lock = threading.Lock()
        self.contigs = dict(zip(self._file.references, self._file.lengths, strict=True))
        self.names = ContigNames(self.contigs)

    def match(self, name: str) -> str | None:
        """Return the FASTA's name of the contig `name`; None if there is no match or more than one."""
        return self.names.match(name)

    def fetch(self, chrom: str, start0: int, end0: int) -> bytes:
        """Return the bases of [start0, end0) in upper case, N past the contig's ends.

        Args:
            chrom: contig name of the FASTA.
            start0: may be negative.
            end0: exclusive; may be past the contig's end.

        Raises:
            GenomeError: the file is damaged or shorter than its index says.
        """
        first0, last0 = max(start0, 0), min(end0, self.contigs[chrom])
        if first0 >= last0:
            return b"N" * (end0 - start0)
        bases = self._read(chrom, first0, last0)
        return b"N" * (first0 - start0) + bases + b"N" * (end0 - last0)

    def digest(self) -> str:
        """Return the sha256 of the file in hex; it is cached."""
        return file_digest(self.path, self._cache_dir)

    def _read(self, chrom: str, start0: int, end0: int) -> bytes:
        try:
            with self._lock:
                bases = self._file.fetch(chrom, start0, end0).encode("ascii").upper()
        except (OSError, ValueError) as error:
            raise self._damaged(chrom, start0, end0) from error
        if len(bases) != end0 - start0 or b">" in bases:  # the start of a header
            raise self._damaged(chrom, start0, end0)
        return bases

    def _damaged(self, chrom: str, start0: int, end0: int) -> GenomeError:
        # htslib's message is not shown: it reports a truncated file as "No such file or directory".
        return GenomeError(
            f"{self.path}\ncannot be read at {chrom}:{start0 + 1}-{end0}: "
            "the file is damaged or truncated, or its index does not match it",
            hint=reindex_hint(self.path),
        )
