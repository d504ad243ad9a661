"""Regulatory elements whose every base was mutated, from the table of a saturation mutagenesis.

Coordinates are 0-based and half-open, GRCh38. Axes: V variants, E bp of an element, S bp of a window.
Source: Kircher et al., Nature Communications 10:3583 (2019); its cell types too.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from vepscore.genome.windows import UNKNOWN, encode_bases
from vepscore.train.pieces import Piece

MIN_BARCODES = 10  # of a variant; with fewer its measured effect is left to chance
DELETED = -1
_CODES = 8  # above every `alternate`, to number variants

# Of those measured in a cell type that tracks may be of, by the start of the element's name.
_CELL_TYPES = {"F9": "HepG2", "LDLR": "HepG2", "PKLR": "K562", "SORT1": "HepG2"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """A regulatory element and what its variants did to it."""

    name: str
    chrom: str
    start0: int  # GRCh38
    codes: np.ndarray  # uint8 (E,): A C G T = 0 1 2 3
    position: np.ndarray  # int64 (V,): of each variant, from the element's start
    alternate: np.ndarray  # int8 (V,): code of the base put there, or DELETED
    effect: np.ndarray  # float64 (V,): measured, log2

    @property
    def cell_type(self) -> str:
        """What it was measured in, if tracks may be of it; else ""."""
        return next((cell for start, cell in _CELL_TYPES.items() if self.name.startswith(start)), "")

    @property
    def variant_key(self) -> np.ndarray:
        """int64 (V,): a number for each variant, the same in all elements of this sequence."""
        return self.position * _CODES + self.alternate - DELETED

    @staticmethod
    def of_key(key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`position` and `alternate` of the variants with these numbers, int64 (V,) each."""
        return key // _CODES, key % _CODES + DELETED


def read_elements(path: Path) -> tuple[list[Element], dict[str, str]]:
    """The elements of the table in GRCh38, and why the others cannot be rebuilt, by name.

    Variants with fewer than MIN_BARCODES barcodes and those without a position are left out, but their
    reference bases count.
    """
    table = pd.read_csv(path, sep="\t", dtype={"Chrom": str, "Ref": str, "Alt": str})
    table = table[(table["Release"] == "GRCh38") & table["Pos"].notna()]
    elements, left_out = [], {}
    for name, rows in table.groupby("Element", sort=True):
        try:
            elements.append(_element(str(name), rows))
        except ValueError as error:
            left_out[str(name)] = str(error)
    return elements, left_out


def rebuild(positions0: np.ndarray, bases: np.ndarray) -> tuple[int, np.ndarray]:
    """An element's start and codes uint8 (E,) from the reference base of each variant.

    Args:
        positions0: int64 (V,), of the variants on the chromosome.
        bases: str (V,), one base each.

    Raises:
        ValueError: a position between the first and the last has no base, or two different ones.
    """
    start0, end0 = int(positions0.min()), int(positions0.max()) + 1
    codes = np.full(end0 - start0, UNKNOWN, np.uint8)
    known = encode_bases("".join(bases).encode())
    if len(known) != len(positions0):
        raise ValueError("a reference allele is not one base")
    codes[positions0 - start0] = known
    if (codes[positions0 - start0] != known).any():
        raise ValueError("a position has two reference bases")
    missing = np.flatnonzero(codes == UNKNOWN)
    if len(missing):
        first = start0 + int(missing[0]) + 1
        raise ValueError(
            f"no reference base at {len(missing)} of {len(codes)} positions, the first at {first} (1-based)"
        )
    return start0, codes


def place(element: Element, pieces: Sequence[Piece], window_bp: int) -> tuple[np.ndarray, str]:
    """The window with an element in its middle, and what surrounds it: "genome" or "N".

    Returns uint8 (S + 1,): the base past the window's end moves in when a variant deletes one.

    Raises:
        ValueError: the window is narrower than the element, or a piece has other bases there.
    """
    length = len(element.codes)
    before = bases_before(element, window_bp)
    for piece in pieces:
        if piece.chrom == element.chrom and piece.start0 <= element.start0 <= piece.end0 - length:
            window = piece.window(element.start0 - before, window_bp + 1)
            other = int((window[before : before + length] != element.codes).sum())
            if other:
                raise ValueError(
                    f"{element.name}: the FASTA has other bases at {other} of {length} positions"
                )
            return window, "genome"
    window = np.full(window_bp + 1, UNKNOWN, np.uint8)
    window[before : before + length] = element.codes
    return window, "N"


def put_variant(window: np.ndarray, position: int, alternate: int) -> np.ndarray:
    """The window (S + 1,) with one variant, uint8 (S,); a deletion draws the last base in."""
    if alternate == DELETED:
        return np.delete(window, position)
    changed = window[:-1].copy()
    changed[position] = alternate
    return changed


def bases_before(element: Element, window_bp: int) -> int:
    """How much of a window of S bp comes before the element in its middle.

    Raises:
        ValueError: the window is narrower than the element.
    """
    if window_bp < len(element.codes):
        raise ValueError(f"{element.name} has {len(element.codes)} bp, more than a window of {window_bp}")
    return (window_bp - len(element.codes)) // 2


def _element(name: str, rows: pd.DataFrame) -> Element:
    chrom = rows["Chrom"].iloc[0]
    start0, codes = rebuild(rows["Pos"].to_numpy(np.int64) - 1, rows["Ref"].to_numpy(object))
    kept = rows[rows["Barcodes"] >= MIN_BARCODES]
    alternates = kept["Alt"].to_numpy(object)
    if odd := sorted(set(alternates) - set("ACGT-")):
        raise ValueError(f"alternate {odd[0]!r} is neither a base nor a deletion")
    return Element(
        name=name,
        chrom=f"chr{chrom}",
        start0=start0,
        codes=codes,
        position=kept["Pos"].to_numpy(np.int64) - 1 - start0,
        alternate=np.array([DELETED if base == "-" else "ACGT".index(base) for base in alternates], np.int8),
        effect=kept["Coefficient"].to_numpy(np.float64),
    )
