"""Regulatory elements of a saturation mutagenesis, from its table of variants.

Coordinates are 0-based and half-open, GRCh38. Axes: V variants, E bp of an element, S bp of a window.

Source: Kircher et al., Nature Communications 10:3583 (2019), for the cell types too.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from vepscore.genome.windows import UNKNOWN, encode_bases
from vepscore.train.segments import Segment

MIN_BARCODES = 10  # a variant with fewer barcodes is excluded, because its measured effect is noise
DELETED = -1
_CODES = 8  # more than the number of alternates, to number variants

# Cell type of the assay, by the start of the element's name; only cell types that tracks may be of.
_CELL_TYPES = {"F9": "HepG2", "LDLR": "HepG2", "PKLR": "K562", "SORT1": "HepG2"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """A regulatory element and the measured effects of its variants."""

    name: str
    chrom: str
    start0: int  # GRCh38
    codes: np.ndarray  # uint8 (E,): A C G T = 0 1 2 3
    position: np.ndarray  # int64 (V,): offset of each variant from the element's start
    alternate: np.ndarray  # int8 (V,): code of the alternate base, or DELETED
    effect: np.ndarray  # float64 (V,): measured log2 fold change

    @property
    def cell_type(self) -> str:
        """Cell type of the assay, if tracks may be of it; else ""."""
        return next((cell for start, cell in _CELL_TYPES.items() if self.name.startswith(start)), "")

    @property
    def variant_key(self) -> np.ndarray:
        """int64 (V,): number of each variant, the same in all elements of this sequence."""
        return self.position * _CODES + self.alternate - DELETED

    @staticmethod
    def of_key(key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return `position` and `alternate` of the variants with these numbers, int64 (V,) each."""
        return key // _CODES, key % _CODES + DELETED


def read_elements(path: Path) -> tuple[list[Element], dict[str, str]]:
    """Read the elements in GRCh38; also return why other elements cannot be rebuilt, by name.

    Variants with fewer than MIN_BARCODES barcodes or without a position are excluded, but their reference bases are
    used.
    """
    table = pd.read_csv(path, sep="\t", dtype={"Chrom": str, "Ref": str, "Alt": str})
    table = table[(table["Release"] == "GRCh38") & table["Pos"].notna()]
    elements, excluded = [], {}
    for name, rows in table.groupby("Element", sort=True):
        try:
            elements.append(_element(str(name), rows))
        except ValueError as error:
            excluded[str(name)] = str(error)
    return elements, excluded


def rebuild(positions0: np.ndarray, bases: np.ndarray) -> tuple[int, np.ndarray]:
    """Return an element's start and codes uint8 (E,), from the reference base of each variant.

    Args:
        positions0: int64 (V,), positions of the variants on the chromosome.
        bases: str (V,), one base each.

    Raises:
        ValueError: a position between the first and the last has no base, or two different bases.
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


def place(element: Element, segments: Sequence[Segment], window_bp: int) -> tuple[np.ndarray, str]:
    """Return the window centered on an element, and its context: "genome" or "N".

    The window is uint8 (S + 1,): the base past its end shifts in when a variant deletes one.

    Raises:
        ValueError: the window is narrower than the element, or the segment has other bases there.
    """
    length = len(element.codes)
    before = bases_before(element, window_bp)
    for segment in segments:
        if segment.chrom == element.chrom and segment.start0 <= element.start0 <= segment.end0 - length:
            window = segment.window(element.start0 - before, window_bp + 1)
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
    """Return the window (S + 1,) with one variant, uint8 (S,); a deletion shifts the last base in."""
    if alternate == DELETED:
        return np.delete(window, position)
    changed = window[:-1].copy()
    changed[position] = alternate
    return changed


def bases_before(element: Element, window_bp: int) -> int:
    """Return the number of bases of a window of S bp before the element in its center.

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
