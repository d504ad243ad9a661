"""Compute signals at the positions that scorers read: from a window's embeddings through the network's heads.

Axes in shapes: `positions` read, `tracks` without padding, `sites` per class of splice site, `channels`.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Float32, Int, Int32, Shaped

from vepscore.contract import Junctions
from vepscore.engine.strand import INTERBASE_OUTPUTS, OTHER_STRAND, mirror_index
from vepscore.genome.alignment import AlignedPositions
from vepscore.model.network import LOADED_ORGANISM
from vepscore.model.predictor import Reader
from vepscore.outputs import SPLICE_CLASSES, Output

_CHUNK_POSITIONS = 1024  # positions that are embedded and predicted together

Signals = dict[Output, Float32[Array, "..."]]  # (positions, tracks); contact maps (positions, bins, tracks)


@dataclasses.dataclass(frozen=True)
class _Heads:
    """The network's heads, evaluated at the positions that a scorer reads."""

    network: Any  # with heads for the tracks without padding
    reverse: bool  # the network was given the minus strand
    resolutions: Mapping[Output, int]  # bp

    def predict(
        self, output: Output, reader: Reader, index: Int32[Array, " positions"]
    ) -> Float32[Array, "positions *bins tracks"]:
        """Return the output's signal; whole rows of contact maps; 0 at padding."""
        if self.reverse and output in INTERBASE_OUTPUTS:
            # On the other strand, it is found one base before; nothing at the window's start.
            index = index - 1
        signal = self.network.predict(output, self.embed(output, reader, index), LOADED_ORGANISM)
        if self.reverse and output is Output.CONTACT_MAPS:
            signal = signal[:, ::-1]
        return _masked(signal, index)

    def embed(self, output: Output, reader: Reader, index: Int32[Array, "*positions"]) -> Float[Array, "..."]:
        """Return the embeddings that `output` reads."""
        if self.reverse:
            index = mirror_index(index, reader.width_bp // self.resolutions[output])
        return reader.read(self.network, output, index)

    def count(
        self, embedding: Float[Array, "4 sites channels"], sites: Int32[Array, "4 sites"], *, width_bp: int
    ) -> Float32[Array, "sites sites 2 tissues"]:
        """Return counts of junctions between sites, from their embeddings."""
        count = self.network.count_junctions
        if not self.reverse:
            return count(embedding, sites, LOADED_ORGANISM)
        seen = jnp.where(sites >= 0, width_bp - 1 - sites, -1)
        return count(embedding[OTHER_STRAND], seen[OTHER_STRAND], LOADED_ORGANISM)[:, :, ::-1]


def predict_signals(
    graph: nnx.GraphDef,
    reverse: bool,
    resolutions: Mapping[Output, int],
    state: nnx.State,
    reader: Reader,
    positions: AlignedPositions,
    *,
    outputs: tuple[Output, ...],
) -> Signals:
    """Return the signals at `positions.alternate`; at the anchor, the maximum over the span."""
    heads = _Heads(nnx.merge(graph, state), reverse, resolutions)

    def predict(index: Array) -> Signals:
        return {output: heads.predict(output, reader, index) for output in outputs}

    signals = _in_chunks(predict, positions.alternate, (positions.reference >= 0).sum())
    inserted = _maximum(predict, positions.span)
    return jax.tree.map(
        lambda signal, largest: signal.at[positions.anchor].set(largest, mode="drop"), signals, inserted
    )


def choose_junction_sites(
    count: int,
    threshold: float,
    reference: Float32[Array, "positions classes"],
    alternate: Float32[Array, "positions classes"],
    positions: Int32[Array, " positions"],
    annotated: Bool[Array, "positions 4"],
    classes: Bool[Array, " 4"],
) -> tuple[Int32[Array, "4 sites"], Int[Array, ""]]:
    """Choose the sites that either allele or the annotation has: at most `count` per class.

    A site has a probability of at least `threshold` in `reference` or `alternate`, or is `annotated`. Return the sites
    by class, bp from the window's start, padded with -1; and how many the largest class has.
    """
    probability = jnp.maximum(jnp.maximum(reference, alternate)[:, : annotated.shape[1]], annotated)
    probability = jnp.where(classes, probability, 0)
    sites = choose_sites(_masked(probability, positions), positions, count=count, threshold=threshold)
    return sites, (sites >= 0).sum(axis=1).max()


def choose_sites(
    probabilities: Float[Array, "positions classes"],
    positions: Int32[Array, " positions"],
    *,
    count: int,
    threshold: float,
) -> Int32[Array, "4 {count}"]:
    """Choose the most probable positions of each splice-site class.

    Args:
        probabilities: by SPLICE_CLASSES; other classes may follow. 0 if a position is not eligible.
        positions: bp from the window's start.
        count: the most sites per class.
        threshold: probability below which a position is not a site.

    Returns:
        The sites of each class, in ascending order, padded with -1 at the end.
    """
    kept = min(count, probabilities.shape[0])
    values, index = jax.lax.top_k(probabilities[:, : len(SPLICE_CLASSES)].T, kept)
    last = jnp.iinfo(jnp.int32).max
    sites = jnp.sort(jnp.where(values >= threshold, positions[index], last), axis=1)
    sites = jnp.where(sites == last, -1, sites).astype(jnp.int32)
    return jnp.pad(sites, ((0, 0), (0, count - kept)), constant_values=-1)


def count_junctions(
    graph: nnx.GraphDef,
    reverse: bool,
    resolutions: Mapping[Output, int],
    state: nnx.State,
    probabilities: Sequence[Float32[Array, "positions classes"]],
    sites: Int32[Array, "4 sites"],
    classes: Bool[Array, " 4"],
    positions: AlignedPositions,
    reference: Reader,
    alternate: Reader,
) -> tuple[Junctions, Junctions]:
    """Return the junctions between the sites, of both alleles; those of `classes` were chosen by `probabilities`."""
    heads = _Heads(nnx.merge(graph, state), reverse, resolutions)
    count = functools.partial(heads.count, sites=sites, width_bp=reference.width_bp)
    embed = functools.partial(heads.embed, Output.SPLICE_SITES)
    last = jnp.iinfo(jnp.int32).max
    index = jnp.searchsorted(jnp.where(positions.reference < 0, last, positions.reference), sites)
    moved = jnp.where(sites >= 0, positions.alternate[index], -1)
    embedding = _masked(embed(alternate, moved), moved)
    inserted = _maximum(functools.partial(embed, alternate), positions.span)
    at_anchor = (sites >= 0) & (index == positions.anchor)
    embedding = jnp.where(at_anchor[..., None], inserted, embedding)
    # NaN is no site: without this, a broken classifier would look like a gene without junctions.
    finite = jnp.isfinite(jnp.stack(probabilities)[..., : len(SPLICE_CLASSES)])
    broken = jnp.where((finite | ~classes).all(), 0.0, jnp.nan)
    counts = count(_masked(embed(reference, sites), sites)) + broken
    return Junctions(sites, counts), Junctions(sites, count(embedding))


def _in_chunks(predict: Callable[[Array], Any], index: Int32[Array, " positions"], count: Array) -> Any:
    """Return `predict` of the first `count` indices, a chunk at a time; 0 for the others."""
    size = min(_CHUNK_POSITIONS, len(index))
    if size == len(index):
        return predict(index)

    def fill(chunk: Array, filled: Any) -> Any:
        start = chunk * size
        part = predict(jax.lax.dynamic_slice_in_dim(index, start, size))
        return jax.tree.map(
            lambda whole, values: jax.lax.dynamic_update_slice_in_dim(whole, values, start, axis=0),
            filled,
            part,
        )

    shapes = jax.eval_shape(predict, index)
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    return jax.lax.fori_loop(0, -(-count // size), fill, zeros)


def _maximum(predict: Callable[[Array], Any], span: Int32[Array, " span"]) -> Any:
    """Return the maximum of `predict` over the span, a chunk at a time; -inf for an empty span."""
    size = min(_CHUNK_POSITIONS, len(span))

    def take(chunk: Array, largest: Any) -> Any:
        part = jax.lax.dynamic_slice_in_dim(span, chunk * size, size)
        return jax.tree.map(
            lambda known, values: jnp.maximum(
                known, jnp.where(_expand(part >= 0, values), values, -jnp.inf).max(axis=0)
            ),
            largest,
            predict(part),
        )

    shapes = jax.eval_shape(predict, span)
    lowest = jax.tree.map(lambda leaf: jnp.full(leaf.shape[1:], -jnp.inf, leaf.dtype), shapes)
    return jax.lax.fori_loop(0, -(-(span >= 0).sum() // size), take, lowest)


def _masked(values: Float[Array, "..."], positions: Int32[Array, "*positions"]) -> Float[Array, "..."]:
    """Return the values, 0 where the position is padding."""
    return jnp.where(_expand(positions >= 0, values), values, 0)


def _expand(mask: Bool[Array, "..."], values: Shaped[Array, "..."]) -> Bool[Array, "..."]:
    """Append axes of size 1 to the mask, so that it has as many as `values`."""
    return mask.reshape(mask.shape + (1,) * (values.ndim - mask.ndim))
