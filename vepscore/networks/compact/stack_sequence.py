"""The pages of a sequence, by layer: which bases they depend on, and where they are kept.

Pages have their numbers from the genome: page 0 of a sequence is some page of the genome, so that windows that begin at
different bases have pages in common.

Axes in shapes: `bases`, `layers`, `pages` of a sequence.
"""

import dataclasses
from typing import Optional

import numpy as np
from jaxtyping import Bool, Int, Int32, UInt8

from vepscore.genome.windows import UNKNOWN
from vepscore.model.pages import ABSENT
from vepscore.networks.compact.stack_layers import PAGE_BP

Pages = Int[np.ndarray, " _"]  # ascending numbers of a sequence's pages


@dataclasses.dataclass(eq=False, kw_only=True)
class PagedSequence:
    """A window with N before and behind it, in pages; or an alternate's, most of whose pages are a reference's."""

    first: int  # the number of page 0 in the genome
    start: int  # bases before the window
    width_bp: int  # of the window
    codes: UInt8[np.ndarray, " bases"]
    rows: Int32[np.ndarray, "layers pages"]  # of its own pages in the stores, or ABSENT
    own: Bool[np.ndarray, "layers pages"]  # which pages are not the reference's
    reference: Optional["PagedSequence"] = None  # None: all pages are its own

    def rows_of(self, layer: int, part: slice = slice(None)) -> Int32[np.ndarray, " _"]:
        """Return the rows of pages, its own and the reference's."""
        rows = self.rows[layer, part]
        if self.reference is None:
            return rows.copy()  # JAX may read the array later, when the pages have moved
        return np.where(self.own[layer, part], rows, self.reference.rows[layer, part])

    def is_same(self, other: "PagedSequence") -> bool:
        """Return whether another window has the same bases at the same place."""
        places = [(each.first, each.start, each.width_bp) for each in (self, other)]
        return places[0] == places[1] and np.array_equal(self.codes, other.codes)

    def clean(self, reach_bp: Int[np.ndarray, " layers"]) -> Bool[np.ndarray, "layers pages"]:
        """Return which pages depend on bases of the window alone."""
        outside = np.ones(len(self.codes), bool)
        outside[self.start :][: self.width_bp] = False
        return ~depends_on(outside, reach_bp)


def open_window(
    codes: UInt8[np.ndarray, " window"],
    start0: int,
    margin_pages: int,
    reach_bp: Int[np.ndarray, " layers"],
    empty: Int32[np.ndarray, " layers"],
) -> PagedSequence:
    """Return a window, none of whose pages are computed, except those that depend on N alone.

    Args:
        codes: its bases.
        start0: where it begins in the genome; with pages at multiples of their size.
        margin_pages: pages before the window's first and behind its last.
        reach_bp: for each layer, how far its values depend on bases.
        empty: for each layer, the row of the page that depends on N alone.
    """
    first = start0 // PAGE_BP - margin_pages
    start = start0 - first * PAGE_BP
    pages = count_pages(len(codes), margin_pages)
    padded = np.full(pages * PAGE_BP, UNKNOWN, np.uint8)
    padded[start : start + len(codes)] = codes
    known = depends_on(padded != UNKNOWN, reach_bp)
    return PagedSequence(
        first=first,
        start=start,
        width_bp=len(codes),
        codes=padded,
        rows=np.where(known, ABSENT, empty[:, None]).astype(np.int32),
        own=np.ones_like(known),
    )


def open_alternate(
    codes: UInt8[np.ndarray, " window"], reference: PagedSequence, reach_bp: Int[np.ndarray, " layers"]
) -> PagedSequence:
    """Return an alternate's window; what its bases do not change is the reference's."""
    padded = reference.codes.copy()
    padded[reference.start :][: len(codes)] = codes
    own = depends_on(padded != reference.codes, reach_bp)
    rows = np.full(own.shape, ABSENT, np.int32)
    return dataclasses.replace(reference, codes=padded, own=own, rows=rows, reference=reference)


def count_pages(width_bp: int, margin_pages: int) -> int:
    """Return how many pages a sequence has, wherever its window begins."""
    return -(-width_bp // PAGE_BP) + 1 + 2 * margin_pages


def depends_on(
    bases: Bool[np.ndarray, " bases"], reach_bp: Int[np.ndarray, " layers"]
) -> Bool[np.ndarray, "layers pages"]:
    """Return which pages depend on any of these bases; none lie outside of the sequence."""
    before = np.append(0, np.cumsum(bases))
    first = np.arange(0, len(bases), PAGE_BP) - reach_bp[:, None]
    end = first + PAGE_BP + 2 * reach_bp[:, None]
    return before[end.clip(0, len(bases))] > before[first.clip(0, len(bases))]


def move_pages(old: PagedSequence, new: PagedSequence, reach_bp: Int[np.ndarray, " layers"]) -> None:
    """Move to a new window the pages of an old one that depend on bases of both windows alone, if those are equal."""
    shift = (new.first - old.first) * PAGE_BP
    first, end = max(old.start, new.start + shift), min(old.start, new.start + shift) + old.width_bp
    if first >= end or not np.array_equal(old.codes[first:end], new.codes[first - shift : end - shift]):
        return
    pages = old.rows.shape[1]
    of_old = np.arange(max(0, shift // PAGE_BP), min(pages, pages + shift // PAGE_BP))
    of_new = of_old - shift // PAGE_BP
    common = old.clean(reach_bp)[:, of_old] & new.clean(reach_bp)[:, of_new]
    common &= new.rows[:, of_new] == ABSENT  # others depend on N alone
    new.rows[:, of_new] = np.where(common, old.rows[:, of_old], new.rows[:, of_new])
    old.rows[:, of_old] = np.where(common, ABSENT, old.rows[:, of_old])
