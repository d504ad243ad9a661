"""Windows: the interval around an allele that is the network's input, and the sequences in it.

Coordinates are 0-based and half-open. S is the window's width in bp. Sequences are uint8 codes: A C G T are
0 1 2 3, everything else is 4.
"""

import dataclasses
from typing import Protocol

import numpy as np

from vepscore.errors import UsageError
from vepscore.genome.alleles import Allele
from vepscore.outputs import MAX_WINDOW_BP

UNKNOWN = 4  # code of N, of ambiguity codes and of positions past a contig's ends
_COMPLEMENT = np.array([3, 2, 1, 0, UNKNOWN], np.uint8)

_NAMED_WIDTHS_BP = {"1mb": 1 << 20} | {f"{kb}kb": kb << 10 for kb in (512, 256, 128, 64, 32, 16)}


def _code_table() -> bytes:
    table = bytearray([UNKNOWN] * 256)
    for code, base in enumerate(b"ACGT"):
        table[base] = table[base | 0x20] = code  # upper and lower case
    return bytes(table)


_CODE_OF_BYTE = _code_table()


class Bases(Protocol):
    """The part of `vepscore.genome.fasta.Reference` that windows use."""

    def fetch(self, chrom: str, start0: int, end0: int) -> bytes:
        """Return the bases of [start0, end0), N past the contig's ends."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """An interval of a contig, 0-based half-open, which may extend past both ends of the contig."""

    chrom: str  # contig name of the reference genome
    start0: int  # may be negative
    end0: int  # exclusive; may be past the contig's end

    @property
    def width_bp(self) -> int:
        """Return the window's width S."""
        return self.end0 - self.start0


def parse_width(text: str) -> int:
    """Return the window's width in bp from a name (1Mb, 512kb, 256kb, 128kb, 64kb, 32kb, 16kb) or a number of bp.

    Raises:
        UsageError: neither a name nor a number from 1 to 1,048,576. Which widths a network reads is checked later.
    """
    if text.lower() in _NAMED_WIDTHS_BP:
        return _NAMED_WIDTHS_BP[text.lower()]
    width_bp = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
    if not 1 <= width_bp <= MAX_WINDOW_BP:
        raise UsageError(
            f"window width {text!r}\nexpected a number of bp, at most {MAX_WINDOW_BP}",
            hint="use 1Mb, 512kb, 256kb, 128kb, 64kb, 32kb or 16kb (powers of two: 1Mb is 1048576 bp)",
        )
    return width_bp


def window_around(allele: Allele, width_bp: int, align_bp: int = 1) -> Window:
    """Return the window of `width_bp` centered on the allele's REF, its start rounded to a multiple of `align_bp`.

    The center of a REF of odd length is rounded up, so an SNV is the last base of the window's first half.

    Source: `Interval.resize` of the alphagenome package (alphagenome.data.genome).
    """
    ref_bp = len(allele.ref)
    center0 = (allele.pos0 + allele.end0) // 2 + ref_bp % 2
    start0 = center0 - (width_bp + 1) // 2
    start0 = (start0 + align_bp // 2) // align_bp * align_bp
    return Window(chrom=allele.chrom, start0=start0, end0=start0 + width_bp)


def encode_bases(bases: bytes) -> np.ndarray:
    """Return the codes of bases in upper or lower case, uint8 (len(bases),)."""
    return np.frombuffer(bases.translate(_CODE_OF_BYTE), np.uint8).copy()


def reverse_complement(codes: np.ndarray) -> np.ndarray:
    """Return the codes of the other strand, (S,); N stays N."""
    return _COMPLEMENT[codes[::-1]]


def allele_sequences(reference: Bases, window: Window, allele: Allele) -> tuple[np.ndarray, np.ndarray]:
    """Return the codes of the window with REF and with ALT, each uint8 (S,).

    REF replaces the reference's bases, even if the two differ. The alternate's window is left-anchored: it starts
    where the reference's window starts, so at its right end a deletion draws bases in and an insertion pushes bases
    out. Past the contig's ends all bases are N.

    Raises:
        ValueError: the window does not overlap the allele's REF.

    Source: `extract_variant_sequences` of alphagenome_research (io/genome.py).
    """
    _check_within(allele, window)
    drawn_in_bp = max(0, -allele.inserted_bp)
    fetched = encode_bases(reference.fetch(window.chrom, window.start0, window.end0 + drawn_in_bp))
    reference_codes, alternate_codes = (
        _with_bases(fetched, window, allele, bases)[: window.width_bp] for bases in (allele.ref, allele.alt)
    )
    return reference_codes, alternate_codes


def right_anchored_sequence(reference: Bases, window: Window, allele: Allele) -> np.ndarray:
    """Return the codes with ALT of the window that ends where the reference's window ends, uint8 (S,).

    At the window's left end a deletion draws bases in and an insertion pushes bases out.

    Raises:
        ValueError: the window does not overlap the allele's REF.
    """
    _check_within(allele, window)
    drawn_in_bp = max(0, -allele.inserted_bp)
    wider = dataclasses.replace(window, start0=window.start0 - drawn_in_bp)
    fetched = encode_bases(reference.fetch(wider.chrom, wider.start0, wider.end0))
    return _with_bases(fetched, wider, allele, allele.alt)[-window.width_bp :]


def _check_within(allele: Allele, window: Window) -> None:
    if allele.chrom != window.chrom or allele.end0 <= window.start0 or allele.pos0 >= window.end0:
        raise ValueError(f"{allele} is outside of {window}")


def _with_bases(fetched: np.ndarray, window: Window, allele: Allele, bases: str) -> np.ndarray:
    """Replace REF with `bases` in `fetched`, which starts at the window's start."""
    before = fetched[: max(0, allele.pos0 - window.start0)]
    within = encode_bases(bases.encode("ascii"))[max(0, window.start0 - allele.pos0) :]
    after = fetched[allele.end0 - window.start0 :]
    return np.concatenate([before, within, after])


def n_fraction(codes: np.ndarray) -> float:
    """Return the fraction of `codes` that are not A, C, G or T; 0 if there are no codes."""
    return float(np.mean(codes == UNKNOWN)) if len(codes) else 0.0
