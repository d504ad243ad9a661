"""The predictor of a stack: of each layer, a page is computed once, for all windows and alleles that have it.

What a base changes grows from layer to layer. So little is computed of an alternate in the first layers, and the same
at the ends of a window, beyond which the stack sees N:

                  ├──────────────────── window ────────────────────┤
    embeddings  NN├ends───────────┼─ of any window ─┼──────────ends┤NN
                    …                                             …
    first layer NN├┼─────────────── of any window ───────────────┼┤NN

Pages are kept for the last window. A window that is far wider than the stack's reach is computed in parts; when there
is no room, all pages but embeddings are forgotten.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Int32, UInt8

from vepscore.genome.windows import reverse_complement
from vepscore.model.allele_plan import AllelePlan, ReadyAllele
from vepscore.model.convolution import seen_positions
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

_PART_PAGES = 128  # of embeddings that are computed with the pages of all layers that they need
_MAX_ROWS = 8192  # pages that are kept of all layers but the last, unless a part needs more


class StackReader(NamedTuple):
    """The embeddings of an allele's windows, end to end, in the pages that were computed; NaN elsewhere."""

    pages: Float[Array, "rows 128 channels"]
    rows: Int32[Array, "windows pages"]  # of each page in the store
    start: Int32[Array, ""]  # position of the window in the first page
    width: Int32[Array, " positions"]  # as long as a window; only its shape matters

    @property
    def width_bp(self) -> int:
        """Width of a window."""
        return len(self.width)

    def read(self, network: object, output: object, index: Int[Array, "*positions"]) -> Float[Array, "..."]:
        """Return the embeddings at the positions `index`."""
        del network, output
        window, position = index // self.width_bp, index % self.width_bp + self.start
        return read_pages(self.pages, self.rows[window, position // PAGE_BP], position % PAGE_BP)


class _Step(NamedTuple):
    """Pages of a sequence that are to be computed of one layer."""

    sequence: PagedSequence
    layer: int
    pages: Pages


class StackPredictor:
    """Embeds the pages that are read, and keeps those of the last reference window.

    Args:
        stack: the network, with its parameters on the device.
        reverse: give the network the windows' minus strand.
    """

    def __init__(self, stack: SpliceStack, *, reverse: bool) -> None:
        self._stack, self._reverse = stack, reverse
        self._opened: StackLayers | None = None
        self._window: PagedSequence | None = None

    def read(self, plans: Sequence[AllelePlan]) -> Iterator[Readers]:
        """Yield the readers of each allele, in order; they can be used until the next ones are taken."""
        for plan in plans:
            width_bp = plan.allele.site.window.width_bp
            window = self._open_window(plan.allele)
            self._embed(window, [group.reference_bins() for group in plan.groups])
            alternates = [
                open_alternate(self._as_seen(codes), window, self._layers(width_bp).reach_bp)
                for codes in plan.allele.alternates
            ]
            try:
                for number, alternate in enumerate(alternates):
                    self._embed(alternate, [group.alternate_bins(number, width_bp) for group in plan.groups])
                    self._release(alternate, slice(-1))
                reference = self._reader([window])
                yield Readers(
                    reference, self._reader(alternates) if alternates else reference, keeps_reference=True
                )
            finally:
                for alternate in alternates:
                    self._release(alternate)

    def clear_cache(self) -> None:
        """Forget what was computed for earlier windows; compiled programs and memory stay allocated."""
        if self._window is not None:
            self._release(self._window)
        self._window = None

    def _open_window(self, allele: ReadyAllele) -> PagedSequence:
        """Return the allele's reference window, with what is known of it."""
        where = allele.site.window
        layers, old = self._layers(where.width_bp), self._window
        start0 = -where.end0 if self._reverse else where.start0
        codes = self._as_seen(allele.reference_codes)
        new = open_window(codes, start0, self._margin_pages(layers), layers.reach_bp, layers.empty)
        if old is not None and old.is_same(new):
            return old
        self._window = new
        if old is not None:
            move_pages(old, new, layers.reach_bp)
            self._release(old)
        return new

    def _as_seen(self, codes: UInt8[np.ndarray, " window"]) -> UInt8[np.ndarray, " window"]:
        """Return a window as the network sees it."""
        return reverse_complement(codes) if self._reverse else codes

    def _embed(self, sequence: PagedSequence, positions: Sequence[Int[np.ndarray, " _"]]) -> None:
        """Compute the embeddings at these positions of a window, unless they are known."""
        read = np.concatenate([np.zeros(0, np.int32), *positions])
        read = seen_positions(read, sequence.width_bp, reverse=self._reverse)
        pages = np.unique((read + sequence.start) // PAGE_BP)
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
        for each in (sequence, self._window):
            if each is not None:
                self._release(each, slice(-1))

    def _release(self, sequence: PagedSequence, of_layers: slice = slice(None)) -> None:
        """Free the sequence's own pages."""
        layers = self._layers(sequence.width_bp)
        numbers = range(len(layers.stores))[of_layers]
        for layer in numbers:
            rows, empty = sequence.rows[layer], layers.empty[layer]
            layers.stores[layer].release(rows[rows != empty])
            rows[rows != empty] = ABSENT

    def _reader(self, sequences: Sequence[PagedSequence]) -> StackReader:
        first = sequences[0]
        layers = self._layers(first.width_bp)
        margin = self._margin_pages(layers)
        pages = slice(margin, margin + count_pages(first.width_bp, 0))
        rows = np.stack([each.rows_of(-1, pages) for each in sequences])
        start = jnp.asarray(first.start - margin * PAGE_BP, jnp.int32)
        return StackReader(layers.embeddings, jnp.asarray(rows), start, jnp.zeros(first.width_bp, jnp.int32))

    def _layers(self, width_bp: int) -> StackLayers:
        """Return the layers, with room for windows of this width."""
        if self._opened is None:
            reach = -(-self._stack.reach_bp // PAGE_BP)
            changed, window = 2 * reach + 2, count_pages(width_bp, reach)
            layers = sum(len(group.blocks) for group in self._stack.groups)
            # What a part of an alternate needs, with as much of the reference.
            least = 2 * layers * (min(_PART_PAGES, window) + changed)
            rows = max(least, min(_MAX_ROWS, layers * (window + 2 * changed)))
            self._opened = StackLayers(self._stack, rows=rows, embeddings=window + 4 * changed)
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
    """Compute the pages of a step, a chunk at a time."""
    sequence, layer = step.sequence, step.layer
    chunk_of = (step.pages + sequence.first) // CHUNK_PAGES
    for chunk in np.unique(chunk_of):
        pages = step.pages[chunk_of == chunk]
        first = int(chunk) * CHUNK_PAGES - sequence.first
        rows = np.full(CHUNK_PAGES, ABSENT, np.int32)
        rows[pages - first] = layers.stores[layer].allocate(len(pages))
        if layer == 0:
            begin = first * PAGE_BP - layers.stem_bp
            layers.first_layer(sequence.codes[begin:][: CHUNK_BP + 2 * layers.stem_bp], rows)
        else:
            halo = layers.halo_pages[layer]
            sources = sequence.rows_of(layer - 1, slice(first - halo, first + CHUNK_PAGES + halo))
            layers.next_layer(layer, sources, rows)
        sequence.rows[layer, pages] = rows[pages - first]
