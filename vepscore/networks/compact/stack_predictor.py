"""The predictor of a stack: of each layer, a page is computed once, for all windows and alleles that have it.

What a base changes grows from layer to layer. So little is computed of an alternate in the first layers, and the same
at the ends of a window, beyond which the stack sees N:

                  ├──────────────────── window ────────────────────┤
    embeddings  NN├ends───────────┼─ of any window ─┼──────────ends┤NN
                    …                                             …
    first layer NN├┼─────────────── of any window ───────────────┼┤NN

Each strand is a sequence of its own, with its own pages; one that no scorer reads is not computed. Pages are kept for
the last window of each strand. A window that is far wider than the stack's reach is computed in parts; when there is no
room, all pages but embeddings are forgotten.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Int32, UInt8

from vepscore.genome.windows import reverse_complement
from vepscore.model.allele_plan import AllelePlan, Group
from vepscore.model.pages import ABSENT, read_pages
from vepscore.model.predictor import Readers
from vepscore.networks.compact.splice_stack import SpliceStack
from vepscore.networks.compact.stack_layers import CHUNK_BP, CHUNK_PAGES, PAGE_BP, StackLayers
from vepscore.networks.compact.stack_sequence import (
    PagedSequence,
    Pages,
    count_pages,
    move_pages,
    open_alternate,
    open_window,
)

_STRANDS = ("+", "-")
_PART_PAGES = 128  # of embeddings that are computed with the pages of all layers that they need
_CALL_CHUNKS = 4  # chunks that are computed in one call, where so many are needed; else one
_MAX_ROWS = 16_384  # pages that are kept of all layers but the last, unless a part needs more


class StackReader(NamedTuple):
    """The embeddings of an allele's windows, end to end, in the pages that were computed; NaN elsewhere.

    The strands are in the order in which the network sees them: first the one whose sequence it is given.
    """

    pages: Float[Array, "rows 128 channels"]
    rows: Int32[Array, "strands windows pages"]  # of each page in the store
    starts: Int32[Array, " strands"]  # position of the window in the first page
    width: Float[Array, " positions"]  # as long as a window; only its shape and dtype, the network's, matter

    @property
    def width_bp(self) -> int:
        """Width of a window."""
        return len(self.width)

    def read(self, network: object, output: object, index: Int[Array, "*positions"]) -> Float[Array, "..."]:
        """Return the embeddings at the positions `index`."""
        del network, output
        window, position = index // self.width_bp, index % self.width_bp
        strands = []
        for rows, start, along in zip(
            self.rows, self.starts, (position, self.width_bp - 1 - position), strict=True
        ):
            page, offset = (along + start) // PAGE_BP, (along + start) % PAGE_BP
            strands.append(read_pages(self.pages, rows[window, page], offset))
        return jnp.concatenate(strands, axis=-1).astype(self.width.dtype)


class _Step(NamedTuple):
    """Pages of a sequence that are to be computed of one layer."""

    sequence: PagedSequence
    layer: int
    pages: Pages


class _OpenAllele(NamedTuple):
    """One strand of an allele's windows, and what is read of it."""

    strand: str
    window: PagedSequence
    alternates: list[PagedSequence]
    groups: list[Group]


class StackPredictor:
    """Embeds the pages that are read, and keeps those of each strand's last reference window.

    Args:
        stack: the network, with its parameters on the device.
        reverse: give the network the windows' minus strand.
    """

    def __init__(self, stack: SpliceStack, *, reverse: bool) -> None:
        self._stack, self._reverse = stack, reverse
        self._opened: StackLayers | None = None
        self._windows: dict[str, PagedSequence] = {}  # by strand

    def read(self, plans: Sequence[AllelePlan]) -> Iterator[Readers]:
        """Yield the readers of each allele, in order; they can be used until the next ones are taken."""
        for plan in plans:
            alleles = self._open(plan)
            try:
                for each in alleles:
                    self._embed_allele(each)
                reference = self._reader({each.strand: [each.window] for each in alleles})
                alternate = reference
                if plan.allele.alternates:
                    alternate = self._reader({each.strand: each.alternates for each in alleles})
                yield Readers(reference, alternate, keeps_reference=True)
            finally:
                for each in alleles:
                    for alternate_window in each.alternates:
                        self._release(alternate_window)

    def clear_cache(self) -> None:
        """Forget what was computed for earlier windows; compiled programs and memory stay allocated."""
        for window in self._windows.values():
            self._release(window)
        self._windows.clear()

    def _open(self, plan: AllelePlan) -> list[_OpenAllele]:
        """Return each strand of an allele that is read."""
        allele, opened = plan.allele, []
        where = allele.site.window
        for strand, start0 in zip(_STRANDS, (where.start0, -where.end0), strict=True):
            groups = [group for group in plan.groups if group.strand in (strand, None)]
            if groups:
                reference, *alternates = (
                    codes if strand == "+" else reverse_complement(codes)
                    for codes in (allele.reference_codes, *allele.alternates)
                )
                window = self._open_window(strand, reference, start0)
                reach_bp = self._layers(len(reference)).reach_bp
                opened.append(
                    _OpenAllele(
                        strand=strand,
                        window=window,
                        alternates=[open_alternate(codes, window, reach_bp) for codes in alternates],
                        groups=groups,
                    )
                )
        return opened

    def _open_window(self, strand: str, codes: UInt8[np.ndarray, " window"], start0: int) -> PagedSequence:
        """Return a strand of the reference, with what is known of it; `start0` counts along the strand."""
        layers, old = self._layers(len(codes)), self._windows.get(strand)
        new = open_window(codes, start0, self._margin_pages(layers), layers.reach_bp, layers.empty)
        if old is not None and old.is_same(new):
            return old
        self._windows[strand] = new
        if old is not None:
            move_pages(old, new, layers.reach_bp)
            self._release(old)
        return new

    def _embed_allele(self, allele: _OpenAllele) -> None:
        """Compute the embeddings that are read on a strand, unless they are known."""
        width_bp = allele.window.width_bp
        self._embed(allele, allele.window, [group.reference_bins() for group in allele.groups])
        for number, alternate in enumerate(allele.alternates):
            self._embed(
                allele, alternate, [group.alternate_bins(number, width_bp) for group in allele.groups]
            )
            self._release(alternate, slice(-1))

    def _embed(
        self, allele: _OpenAllele, sequence: PagedSequence, positions: Sequence[Int[np.ndarray, " _"]]
    ) -> None:
        """Compute the embeddings at these positions of a window."""
        read = np.concatenate(positions)
        along = read if allele.strand == "+" else sequence.width_bp - 1 - read
        pages = np.unique((along + sequence.start) // PAGE_BP)
        for first in range(0, len(pages), _PART_PAGES):
            self._compute(sequence, pages[first : first + _PART_PAGES])

    def _compute(self, sequence: PagedSequence, pages: Pages) -> None:
        """Compute embeddings, and what they need of other layers."""
        layers = self._layers(sequence.width_bp)
        nothing = np.zeros(0, np.intp)
        needed = [nothing] * (len(layers.stores) - 1) + [pages]
        steps = _plan(layers, sequence, needed)
        if sum(len(step.pages) for step in steps[:-1]) > layers.stores[0].free:
            self._forget_states(sequence)
            steps = _plan(layers, sequence, needed)
        for step in steps:
            _take(layers, step)

    def _forget_states(self, sequence: PagedSequence) -> None:
        """Free the pages of all layers but the last."""
        for each in (sequence, *self._windows.values()):
            self._release(each, slice(-1))

    def _release(self, sequence: PagedSequence, of_layers: slice = slice(None)) -> None:
        """Free the sequence's own pages."""
        layers = self._layers(sequence.width_bp)
        numbers = range(len(layers.stores))[of_layers]
        for layer in numbers:
            rows, empty = sequence.rows[layer], layers.empty[layer]
            layers.stores[layer].release(rows[rows != empty])
            rows[rows != empty] = ABSENT

    def _reader(self, by_strand: Mapping[str, Sequence[PagedSequence]]) -> StackReader:
        """Return the reader of windows, which are given by strand."""
        windows = next(iter(by_strand.values()))
        width_bp = windows[0].width_bp
        layers = self._layers(width_bp)
        margin, pages = self._margin_pages(layers), count_pages(width_bp, 0)
        rows = np.full((len(_STRANDS), len(windows), pages), ABSENT, np.int32)
        starts = np.zeros(len(_STRANDS), np.int32)
        for index, strand in enumerate(reversed(_STRANDS) if self._reverse else _STRANDS):
            for number, sequence in enumerate(by_strand.get(strand, ())):
                rows[index, number] = sequence.rows_of(-1, slice(margin, margin + pages))
                starts[index] = sequence.start - margin * PAGE_BP
        width = jnp.asarray(np.zeros(width_bp, self._stack.dtype))
        return StackReader(layers.embeddings, jnp.asarray(rows), jnp.asarray(starts), width)

    def _layers(self, width_bp: int) -> StackLayers:
        """Return the layers, with room for windows of this width."""
        if self._opened is None:
            reach = -(-self._stack.reach_bp // PAGE_BP)
            changed, window = 2 * reach + 2, count_pages(width_bp, reach)
            layers = sum(len(group.blocks) for group in self._stack.groups)
            # What a part of an alternate's strand needs, with as much of the reference.
            least = 2 * layers * (min(_PART_PAGES, window) + changed)
            rows = max(least, min(_MAX_ROWS, len(_STRANDS) * layers * (window + 2 * changed)))
            embeddings = len(_STRANDS) * (window + 4 * changed)
            self._opened = StackLayers(self._stack, rows=rows, embeddings=embeddings)
        return self._opened

    def _margin_pages(self, layers: StackLayers) -> int:
        """Return how many pages before and behind a window any layer is computed from."""
        return -(-self._stack.reach_bp // PAGE_BP) + CHUNK_PAGES + max(layers.halo_pages)


def _plan(layers: StackLayers, sequence: PagedSequence, needed: Sequence[Pages]) -> list[_Step]:
    """Return what is to be computed for these pages, by layer, in order."""
    steps: list[_Step] = []
    of_reference: list[Pages] = []
    wanted = np.zeros(0, np.intp)
    for layer in reversed(range(len(needed))):
        wanted = np.union1d(needed[layer], wanted)
        own = sequence.own[layer, wanted]
        of_reference.insert(0, wanted[~own])
        missing = wanted[own & (sequence.rows[layer, wanted] == ABSENT)]
        steps.insert(0, _Step(sequence, layer, missing))
        wanted = _with_halo(missing, layers.halo_pages[layer])
    if sequence.reference is None:
        return steps
    return _plan(layers, sequence.reference, of_reference) + steps


def _with_halo(pages: Pages, halo: int) -> Pages:
    return np.unique(np.add.outer(pages, np.arange(-halo, halo + 1)))


def _take(layers: StackLayers, step: _Step) -> None:
    """Compute the pages of a step, whole chunks at a time."""
    sequence, layer, halo = step.sequence, step.layer, layers.halo_pages[step.layer]
    is_missing = np.zeros(sequence.rows.shape[1], bool)
    is_missing[step.pages] = True
    chunks = np.unique((step.pages + sequence.first) // CHUNK_PAGES)
    for first in _split(chunks * CHUNK_PAGES - sequence.first):
        pages = first + np.arange(CHUNK_PAGES)
        missing = is_missing[pages]
        rows = np.full(pages.shape, ABSENT, np.int32)
        rows[missing] = layers.stores[layer].allocate(int(missing.sum()))
        if layer == 0:
            bases = np.arange(-layers.stem_bp, CHUNK_BP + layers.stem_bp)
            layers.first_layer(sequence.codes[first * PAGE_BP + bases], rows)
        else:
            known = sequence.rows_of(layer - 1)
            layers.next_layer(layer, known[first + np.arange(-halo, CHUNK_PAGES + halo)], rows)
        sequence.rows[layer, pages[missing]] = rows[missing]


def _split(chunks: Int[np.ndarray, " _"]) -> Iterator[Int[np.ndarray, "chunks 1"]]:
    """Yield the chunks of each call: as many calls of _CALL_CHUNKS as possible, then calls of one."""
    together = len(chunks) // _CALL_CHUNKS * _CALL_CHUNKS
    yield from chunks[:together].reshape(-1, _CALL_CHUNKS, 1)
    yield from chunks[together:].reshape(-1, 1, 1)
