"""The predictor of convolutional networks: a stretch of a window is computed alone, from its bases and its margins.

The predicted part of a window is divided into stretches on a grid from its start. A stretch is embedded where scorers
read it, once for each sequence: an alternate allele shares with its reference those that its bases do not reach.

Axes in shapes: `bases` of a window, `positions` predicted, `rows` of the store, `channels`.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int, Int32, UInt8

from vepscore.genome.windows import UNKNOWN, reverse_complement
from vepscore.model.allele_plan import AllelePlan
from vepscore.model.network import LOADED_ORGANISM, Network, one_hot
from vepscore.model.pages import ABSENT, PageStore, read_pages
from vepscore.model.predictor import Readers
from vepscore.outputs import Output

_LEAST_STRETCH_BP = 128
_FIRST_ROWS = 16


class StretchReader(NamedTuple):
    """The embeddings of an allele's windows, end to end, in the stretches that were computed; NaN elsewhere."""

    pages: Float[Array, "rows stretch channels"]
    rows: Int32[Array, "windows stretches"]  # of each stretch's page
    width: Int32[Array, " positions"]  # as long as a window's predicted part; only its shape matters

    @property
    def width_bp(self) -> int:
        """Width of the predicted part of a window."""
        return len(self.width)

    def read(self, network: Any, output: Output, index: Int[Array, "*positions"]) -> Float[Array, "..."]:
        """Return the embeddings at the positions `index`."""
        del network, output
        window, position = index // self.width_bp, index % self.width_bp
        stretch_bp = self.pages.shape[1]
        return read_pages(self.pages, self.rows[window, position // stretch_bp], position % stretch_bp)


class ConvolutionPredictor:
    """Embeds the stretches that are read, and keeps those of the last reference window.

    Args:
        network: one whose `reach_bp` is a number, with its parameters on the device.
        reverse: give the network the windows' minus strand.
    """

    def __init__(self, network: Network, *, reverse: bool) -> None:
        assert network.reach_bp is not None
        self._margin_bp, self._reverse = network.margin_bp, reverse
        # At most as long as its margins; less if windows are shorter, which all have one width.
        self._stretch_bp = max(_LEAST_STRETCH_BP, 1 << (2 * network.reach_bp - 1).bit_length())
        graph, self._state = nnx.split(network)
        self._embed = jax.jit(functools.partial(_embed, graph))
        self._store: PageStore | None = None
        self._window = b""  # codes of the last reference window
        self._rows: dict[
            bytes, int
        ] = {}  # of its pages and those of its alternates, by the bases that they read

    def read(self, plans: Sequence[AllelePlan]) -> Iterator[Readers]:
        """Yield the readers of each allele, in order; they can be used until the next ones are taken."""
        for plan in plans:
            codes = plan.allele.reference_codes
            self._stretch_bp = min(self._stretch_bp, plan.allele.site.window.width_bp)
            if codes.tobytes() != self._window:
                self.clear_cache()
                self._window = codes.tobytes()
            kept = set(self._rows)
            reference = self._reader([codes], [[group.reference_bins() for group in plan.groups]])
            kept |= set(self._rows)
            alternate = reference
            if plan.allele.alternates:
                width_bp = plan.allele.site.window.width_bp
                numbers = range(len(plan.allele.alternates))
                read = [
                    [group.alternate_bins(number, width_bp) for group in plan.groups] for number in numbers
                ]
                alternate = self._reader(plan.allele.alternates, read)
                reference = reference._replace(pages=alternate.pages)
            yield Readers(reference, alternate, keeps_reference=True)
            self._release(set(self._rows) - kept)

    def clear_cache(self) -> None:
        """Forget what was computed for earlier windows; compiled programs and memory stay allocated."""
        self._release(set(self._rows))
        self._window = b""

    def _reader(
        self,
        windows: Sequence[UInt8[np.ndarray, " bases"]],
        read: Sequence[Sequence[Int[np.ndarray, " _"]]],
    ) -> StretchReader:
        """Return the reader of windows, of which the positions `read` are computed."""
        predicted_bp = len(windows[0]) - 2 * self._margin_bp
        rows = np.full((len(windows), -(-predicted_bp // self._stretch_bp)), ABSENT, np.int32)
        for of_window, codes, positions in zip(rows, windows, read, strict=True):
            seen = reverse_complement(codes) if self._reverse else codes
            for stretch in self._stretches(positions, predicted_bp):
                of_window[stretch] = self._row(seen, int(stretch))
        return StretchReader(
            self._open_store().arrays[0], jnp.asarray(rows), jnp.zeros(predicted_bp, jnp.int32)
        )

    def _stretches(
        self, positions: Sequence[Int[np.ndarray, " _"]], predicted_bp: int
    ) -> Int[np.ndarray, " stretches"]:
        """Return the stretches that are read, as the network sees them."""
        read = np.concatenate([np.zeros(0, np.int32), *positions])
        if self._reverse:
            last = predicted_bp - 1
            # What is about the bond before a base is found one base before: see `vepscore.engine.strand`.
            read = np.minimum(np.append(last - read, last - read + 1), last)
        return np.unique(read // self._stretch_bp)

    def _row(self, codes: UInt8[np.ndarray, " bases"], stretch: int) -> int:
        """Return the row of a stretch's page, which is computed if its bases are new."""
        bases = codes[stretch * self._stretch_bp :][: self._stretch_bp + 2 * self._margin_bp]
        key = bases.tobytes()
        if key not in self._rows:
            # The last stretch may be shorter: N behind the window changes none of its positions.
            padded = np.full(self._stretch_bp + 2 * self._margin_bp, UNKNOWN, np.uint8)
            padded[: len(bases)] = bases
            page = self._embed(self._state, padded)
            store = self._open_store()
            rows = store.allocate(1)
            store.write(rows, [page[None]])
            self._rows[key] = int(rows[0])
        return self._rows[key]

    def _open_store(self) -> PageStore:
        if self._store is None:
            codes = jax.ShapeDtypeStruct((self._stretch_bp + 2 * self._margin_bp,), jnp.uint8)
            page = jax.eval_shape(self._embed, self._state, codes)
            self._store = PageStore([page.shape], page.dtype, rows=_FIRST_ROWS, max_rows=int(ABSENT))
        return self._store

    def _release(self, keys: set[bytes]) -> None:
        rows = [self._rows.pop(key) for key in keys]
        if self._store is not None:
            self._store.release(np.array(rows, np.int32))


def _embed(
    graph: nnx.GraphDef, state: nnx.State, codes: UInt8[Array, " bases"]
) -> Float[Array, "stretch channels"]:
    network = nnx.merge(graph, state)
    return network.embed(one_hot(codes[None], network.dtype), LOADED_ORGANISM)[0]
