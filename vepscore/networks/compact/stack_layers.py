"""The layers of a stack, each computed a chunk of pages at a time, from pages of the layer before.

    bases ── stem ── block ── block ── … ── embeddings

A page is what a layer gives for 128 bp of a strand, 5′ to 3′. All chunks are of one size, and begin at multiples of it.
Several are computed in one call, as a batch whose items do not affect each other. So a page has the same bytes whatever
is computed with it.

Axes in shapes: `rows` of a store, `chunks` of a call, `channels` of a strand.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int32, UInt8

from vepscore.genome.windows import UNKNOWN
from vepscore.model.network import one_hot
from vepscore.model.pages import ABSENT, PageStore, read_pages
from vepscore.networks.compact.splice_stack import SpliceBlock, SpliceStack

PAGE_BP = 128
CHUNK_PAGES = 8
CHUNK_BP = CHUNK_PAGES * PAGE_BP

States = tuple[Float[Array, "rows 128 channels"], ...]  # a layer's output, and the embedding up to it


class StackLayers:
    """Computes pages, and keeps them.

    Args:
        stack: the network, on its device.
        rows: number of pages that can be kept of all layers but the last.
        embeddings: number of pages of the last layer to allocate at first.

    Attributes:
        reach_bp: for each layer, how far its values depend on bases.
        halo_pages: for each layer, how many pages before and after a page it is computed from; 0 for the first.
        stores: for each layer, the pages; all but the last are in one store.
        empty: for each layer, the row of the page of a sequence that is all N.
    """

    def __init__(self, stack: SpliceStack, *, rows: int, embeddings: int) -> None:
        layers = [
            _Layer(block, group.skip if block is group.blocks[-1] else None)
            for group in stack.groups
            for block in group.blocks
        ]
        margins = [layer.margin_bp for layer in layers]
        self._stem_bp = stack.reach_of(0)
        self.reach_bp = np.cumsum([self._stem_bp, *margins])
        self.halo_pages = [0, *(-(-margin // PAGE_BP) for margin in margins)]
        self._parameters = [_split(module) for module in (stack.stem, *layers)]
        channels = stack.stem.kernel.shape[-1]
        page, dtype = (PAGE_BP, channels), _stored_dtype(stack)
        self._states = PageStore([page, page], dtype, rows=rows, max_rows=rows)
        self._embeddings = PageStore([page], dtype, rows=embeddings, max_rows=int(ABSENT))
        self.stores = [self._states] * len(margins) + [self._embeddings]
        self.empty = self._compute_empty()

    @property
    def embeddings(self) -> Float[Array, "rows 128 channels"]:
        """Return the pages of the last layer."""
        return self._embeddings.arrays[0]

    def first_layer(self, codes: UInt8[np.ndarray, "chunks _"], rows: Int32[np.ndarray, "chunks 8"]) -> None:
        """Compute chunks of the first layer from their bases, and `stem_bp` on either side, into these rows."""
        graph, leaves = self._parameters[0]
        self._states.arrays = _start(graph, leaves, self._states.arrays, codes, rows)

    def next_layer(
        self, layer: int, sources: Int32[np.ndarray, "chunks _"], rows: Int32[np.ndarray, "chunks 8"]
    ) -> None:
        """Compute chunks of another layer from pages of the layer before, and their halo, into these rows."""
        graph, leaves = self._parameters[layer]
        states = self._states.arrays
        if self.stores[layer] is self._states:
            self._states.arrays = _advance(graph, leaves, states, sources, rows)
        else:
            finished = _finish(graph, leaves, states, self.embeddings, sources, rows)
            self._embeddings.arrays = (finished,)

    @property
    def stem_bp(self) -> int:
        """Return how many bases on either side of a position the first layer reads."""
        return self._stem_bp

    def _compute_empty(self) -> Int32[np.ndarray, " layers"]:
        empty = np.array([store.allocate(1)[0] for store in self.stores], np.int32)
        for layer, halo in enumerate(self.halo_pages):
            rows = np.full((1, CHUNK_PAGES), ABSENT, np.int32)
            rows[0, 0] = empty[layer]
            if layer == 0:
                self.first_layer(np.full((1, CHUNK_BP + 2 * self._stem_bp), UNKNOWN, np.uint8), rows)
            else:
                self.next_layer(layer, np.full((1, CHUNK_PAGES + 2 * halo), empty[layer - 1]), rows)
        return empty


def _stored_dtype(stack: SpliceStack) -> jnp.dtype:
    """Return the dtype of pages: that of the network, or a wider one that can be written in place.

    To write a part of a bfloat16 array, XLA for CPUs converts and copies all of it.
    """
    in_place = stack.dtype != jnp.bfloat16 or stack.device.platform != "cpu"
    return stack.dtype if in_place else jnp.dtype(jnp.float32)


class _Layer(nnx.Module):
    """A block, and what it adds to the embedding if it is the last of its group.

    Attributes:
        margin_bp: positions at either end that it reads and does not compute.
    """

    def __init__(self, block: SpliceBlock, skip: nnx.Linear | None) -> None:
        self.block, self.skip = block, nnx.data(skip)
        convolutions = (block.first, block.second)
        self.margin_bp = sum(len(each.kernel) // 2 * each.dilation for each in convolutions)

    def __call__(
        self, x: Float[Array, "chunks _ channels"], embedding: Float[Array, "chunks positions channels"]
    ) -> tuple[Float[Array, "chunks positions channels"], Float[Array, "chunks positions channels"]]:
        x = self.block(x)
        return x, embedding if self.skip is None else embedding + self.skip(x)


@dataclasses.dataclass(frozen=True, eq=False)
class _Graph:
    """A module without its parameters: one object for layers of the same sizes, which are compiled once."""

    definition: Any
    tree: Any


_create_graph = functools.cache(_Graph)


def _split(module: nnx.Module) -> tuple[_Graph, list[Array]]:
    """Return a module's graph and its parameters."""
    definition, state = nnx.split(module)
    leaves, tree = jax.tree.flatten(state)
    return _create_graph(definition, tree), leaves


def _merge(graph: _Graph, leaves: list[Array]) -> Any:
    return nnx.merge(graph.definition, jax.tree.unflatten(graph.tree, leaves))


@functools.partial(jax.jit, static_argnums=0, donate_argnames="states")
def _start(
    graph: _Graph,
    leaves: list[Array],
    states: States,
    codes: UInt8[Array, "chunks _"],
    rows: Int32[Array, "chunks _"],
) -> States:
    stem = _merge(graph, leaves)
    x = stem(one_hot(codes, leaves[0].dtype))
    return tuple(_write(array, rows, x) for array in states)


@functools.partial(jax.jit, static_argnums=0, donate_argnames="states")
def _advance(
    graph: _Graph,
    leaves: list[Array],
    states: States,
    sources: Int32[Array, "chunks _"],
    rows: Int32[Array, "chunks 8"],
) -> States:
    computed = _run_layer(graph, leaves, states, sources)
    return tuple(_write(array, rows, x) for array, x in zip(states, computed, strict=True))


@functools.partial(jax.jit, static_argnums=0, donate_argnames="embeddings")
def _finish(
    graph: _Graph,
    leaves: list[Array],
    states: States,
    embeddings: Float[Array, "_ 128 channels"],
    sources: Int32[Array, "chunks _"],
    rows: Int32[Array, "chunks 8"],
) -> Float[Array, "_ 128 channels"]:
    _, embedding = _run_layer(graph, leaves, states, sources)
    return _write(embeddings, rows, jax.nn.relu(embedding))


def _run_layer(
    graph: _Graph, leaves: list[Array], states: States, sources: Int32[Array, "chunks _"]
) -> tuple[Float[Array, "chunks positions channels"], Float[Array, "chunks positions channels"]]:
    """Return a layer's output and embedding of some chunks."""
    layer, halo = _merge(graph, leaves), (sources.shape[1] - CHUNK_PAGES) // 2
    beyond_bp = halo * PAGE_BP - layer.margin_bp
    x = _read(states[0], sources)[:, beyond_bp : CHUNK_BP + 2 * halo * PAGE_BP - beyond_bp]
    embedding, dtype = _read(states[1], sources[:, halo : halo + CHUNK_PAGES]), leaves[0].dtype
    return layer(x.astype(dtype), embedding.astype(dtype))


def _read(
    array: Float[Array, "rows 128 channels"], rows: Int32[Array, "chunks _"]
) -> Float[Array, "chunks _ channels"]:
    """Return the pages of each chunk as one sequence."""
    return read_pages(array, rows).reshape(len(rows), -1, array.shape[-1])


def _write(
    array: Float[Array, "rows 128 channels"],
    rows: Int32[Array, "chunks 8"],
    x: Float[Array, "chunks positions channels"],
) -> Float[Array, "rows 128 channels"]:
    """Write what was computed of some chunks to the rows of their pages."""
    pages = x.reshape(-1, *array.shape[1:]).astype(array.dtype)
    return array.at[rows.ravel()].set(pages, mode="drop")
