"""The predictor of convolutional networks: a stretch of a window is computed alone, from its bases and its margins.

The reference is computed in stretches on a grid from the window's start, where scorers read it. Of an alternate, only
what its bases change is computed, in shorter stretches that begin where it is read first; the rest is the reference's.
Both have a size that depends on the network and the width of the window alone, so that a position has the same bytes
whatever was computed before. They are kept in pages:

    reference    ├──────── stretch ────────┼──────── stretch ────────┤
    alternate                         ├─ stretch ─┤                      around the allele
    pages        ├┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┼┤

Axes in shapes: `bases` of a window, `positions` predicted, `pages` of a window or a stretch, `rows` of the store,
`channels`.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int, Int32, UInt8

from vepscore.genome.windows import UNKNOWN, reverse_complement
from vepscore.model.allele_plan import AllelePlan
from vepscore.model.network import LOADED_ORGANISM, OrganismIndex, one_hot
from vepscore.model.pages import ABSENT, PageStore, read_pages
from vepscore.model.predictor import Readers
from vepscore.outputs import Output

_PAGE_BP = 128
_LEAST_ROWS = 16

Pages = Int[np.ndarray, " _"]  # ascending numbers of a window's pages
Codes = UInt8[np.ndarray, " _"]


@runtime_checkable
class Convolution(Protocol):
    """A network, or a part of one, whose predictions depend on nearby bases only."""

    @property
    def reach_bp(self) -> int | None:
        """How far a prediction depends on bases; a number."""

    @property
    def dtype(self) -> jnp.dtype:
        """The dtype of the parameters."""

    def embed(self, dna: Float[Array, "batch bp 4"], organism: OrganismIndex) -> Any:
        """Embed stretches of a window, without `reach_bp` at either end."""


class StretchReader(NamedTuple):
    """The embeddings of an allele's windows, end to end, in the pages that were computed; NaN elsewhere."""

    pages: Float[Array, "rows 128 channels"]
    rows: Int32[Array, "windows pages"]  # of each page in the store
    width: Int32[Array, " positions"]  # as long as a window's predicted part; only its shape matters

    @property
    def width_bp(self) -> int:
        """Width of the predicted part of a window."""
        return len(self.width)

    def read(self, network: Any, output: Output, index: Int[Array, "*positions"]) -> Float[Array, "..."]:
        """Return the embeddings at the positions `index`."""
        del network, output
        window, position = index // self.width_bp, index % self.width_bp
        return read_pages(self.pages, self.rows[window, position // _PAGE_BP], position % _PAGE_BP)


class ConvolutionPredictor:
    """Embeds the stretches that are read, and keeps those of the last reference window.

    A window has margins, as wide as the network's reach, that are not predicted.

    Args:
        network: a convolution, with its parameters on the device.
        reverse: give the network the windows' minus strand.
    """

    def __init__(self, network: Convolution, *, reverse: bool) -> None:
        assert network.reach_bp is not None
        self._reach_bp, self._reverse = network.reach_bp, reverse
        graph, self._state = nnx.split(network)
        self._embed = jax.jit(functools.partial(_embed, graph))
        self._store: PageStore | None = None
        self._window = b""  # codes of the last reference window
        self._seen = np.zeros(0, np.uint8)  # the same as the network sees it
        self._rows = np.zeros(0, np.int32)  # of its pages

    def read(self, plans: Sequence[AllelePlan]) -> Iterator[Readers]:
        """Yield the readers of each allele, in order; they can be used until the next ones are taken."""
        for plan in plans:
            allele, width_bp = plan.allele, plan.allele.site.window.width_bp
            self._open_window(allele.reference_codes)
            self._embed_reference(self._pages([group.reference_bins() for group in plan.groups], width_bp))
            rows = []
            for number, codes in enumerate(allele.alternates):
                read = [group.alternate_bins(number, width_bp) for group in plan.groups]
                rows.append(self._alternate_rows(self._as_seen(codes), self._pages(read, width_bp)))
            reference = self._reader([self._rows], width_bp)
            own = [np.setdiff1d(of_window, self._rows) for of_window in rows]
            try:
                yield Readers(
                    reference, self._reader(rows, width_bp) if rows else reference, keeps_reference=True
                )
            finally:
                for of_window in own:
                    self._open_store().release(of_window)

    def clear_cache(self) -> None:
        """Forget what was computed for earlier windows; compiled programs and memory stay allocated."""
        if self._store is not None:
            self._store.release(self._rows)
        self._rows, self._window = np.full_like(self._rows, ABSENT), b""

    def _open_window(self, codes: Codes) -> None:
        """Forget the last reference window if this is another one."""
        if codes.tobytes() != self._window:
            self.clear_cache()
            self._window, self._seen = codes.tobytes(), self._as_seen(codes)
            predicted_bp = len(self._seen) - 2 * self._reach_bp
            self._rows = np.full(-(-predicted_bp // _PAGE_BP), ABSENT, np.int32)

    def _as_seen(self, codes: Codes) -> Codes:
        """Return a window as the network sees it."""
        return reverse_complement(codes) if self._reverse else codes

    @property
    def _reference_pages(self) -> int:
        """Pages of a stretch of the reference: at least as long as its margins, unless the window is shorter."""
        return min(max(1, (1 << (2 * self._reach_bp - 1).bit_length()) // _PAGE_BP), len(self._rows))

    @property
    def _alternate_pages(self) -> int:
        """Pages of a stretch of an alternate: all that a changed base reaches, wherever pages begin."""
        return min(2 * self._reach_bp // _PAGE_BP + 2, len(self._rows))

    def _pages(self, positions: Sequence[Int[np.ndarray, " _"]], predicted_bp: int) -> Pages:
        """Return the pages that are read, as the network sees them."""
        read = np.concatenate([np.zeros(0, np.int32), *positions])
        return np.unique(seen_positions(read, predicted_bp, reverse=self._reverse) // _PAGE_BP)

    def _embed_reference(self, pages: Pages) -> None:
        """Embed the stretches of the reference with these pages, unless they are known."""
        size = self._reference_pages
        for stretch in np.unique(pages[self._rows[pages] == ABSENT] // size):
            within = np.arange(stretch * size, min((stretch + 1) * size, len(self._rows)))
            self._rows[within] = self._embed_stretch(self._seen, within, size)

    def _alternate_rows(self, codes: Codes, pages: Pages) -> Int32[np.ndarray, " pages"]:
        """Return the rows of an alternate's pages, which are embedded if they differ from the reference's."""
        changes = np.append(0, np.cumsum(codes != self._seen))
        first = pages * _PAGE_BP
        end = np.minimum(first + _PAGE_BP + 2 * self._reach_bp, len(codes))
        is_changed = changes[end] > changes[first]
        self._embed_reference(pages[~is_changed])
        rows, changed = self._rows.copy(), pages[is_changed]
        rows[changed] = ABSENT
        while len(changed):
            within = changed[changed < changed[0] + self._alternate_pages]
            rows[within] = self._embed_stretch(codes, within, self._alternate_pages)
            changed = changed[len(within) :]
        return rows

    def _embed_stretch(self, codes: Codes, pages: Pages, size: int) -> Int32[np.ndarray, " pages"]:
        """Embed a stretch of `size` pages, the first of which is the first of `pages`; return the rows of `pages`."""
        bases = codes[pages[0] * _PAGE_BP :][: size * _PAGE_BP + 2 * self._reach_bp]
        # The last stretch may be shorter: N behind the window changes none of its positions.
        padded = np.full(size * _PAGE_BP + 2 * self._reach_bp, UNKNOWN, np.uint8)
        padded[: len(bases)] = bases
        embedded = self._embed(self._state, padded)
        store, rows = self._open_store(), np.full(size, ABSENT, np.int32)
        rows[pages - pages[0]] = store.allocate(len(pages))
        store.write(rows, [embedded])
        return rows[pages - pages[0]]

    def _reader(self, rows: Sequence[Int32[np.ndarray, " pages"]], width_bp: int) -> StretchReader:
        return StretchReader(
            self._open_store().arrays[0], jnp.asarray(np.stack(rows)), jnp.zeros(width_bp, jnp.int32)
        )

    def _open_store(self) -> PageStore:
        if self._store is None:
            codes = jax.ShapeDtypeStruct((_PAGE_BP + 2 * self._reach_bp,), jnp.uint8)
            page = jax.eval_shape(self._embed, self._state, codes)
            rows = max(_LEAST_ROWS, 2 * (self._reference_pages + self._alternate_pages))
            self._store = PageStore([page.shape[1:]], page.dtype, rows=rows, max_rows=int(ABSENT))
        return self._store


def seen_positions(
    positions: Int[np.ndarray, " _"], predicted_bp: int, *, reverse: bool
) -> Int[np.ndarray, " _"]:
    """Return where the network sees what is read at `positions`."""
    if not reverse:
        return positions
    last = predicted_bp - 1
    # What is about the bond before a base is found one base before: see `vepscore.engine.strand`.
    return np.minimum(np.append(last - positions, last - positions + 1), last)


def _embed(
    graph: nnx.GraphDef, state: nnx.State, codes: UInt8[Array, " bases"]
) -> Float[Array, "pages 128 channels"]:
    network = nnx.merge(graph, state)
    (embedded,) = network.embed(one_hot(codes[None], network.dtype), LOADED_ORGANISM)
    return embedded.reshape(-1, _PAGE_BP, embedded.shape[-1])
