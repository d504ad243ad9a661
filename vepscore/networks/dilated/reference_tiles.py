"""Alternate alleles on the activations of their reference, which neighbors along the sequence share.

The outputs of all convolutions of the reference are kept, each in a ring of tiles. A tile begins at a multiple of its
size, so that a value is computed in the same way whatever was scored before. For an allele, a layer is computed where
later layers read it and it is not known yet; of the alternate only what the variant reaches:

    reference, layer l     ───────── known ────────┼─ new ─
    alternate, layer l     ───────────██████───────────────   █ computed; else the reference's, shifted by an indel
    alternate, layer l+1   ─────────██████████─────────────

Positions are those of the strand: of the plus strand 0-based in the genome, of the minus strand -1 minus these. An
alternate has the positions of the reference up to its first replaced base, and counts on from there.

Axes in shapes: `rows` of a ring, `tile` positions of a row.
"""

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Int32, Shaped, UInt8

from vepscore.model.network import one_hot
from vepscore.networks.dilated.dilated_config import DilatedConfig
from vepscore.networks.dilated.dilated_trunk import DilatedTrunk, Weights, convolve, stem, sum_skips

TILE_BP = 256


class Range(NamedTuple):
    """Positions from `first` up to `end`, which is not included."""

    first: int
    end: int

    @property
    def positions(self) -> Int[np.ndarray, " positions"]:
        """Return the positions in it; none if it ends before it begins."""
        return np.arange(self.first, self.end)

    @property
    def tiles(self) -> range:
        """Return the numbers of the tiles that it touches; none if it ends before it begins."""
        return range(self.first // TILE_BP, -(-self.end // TILE_BP)) if self.first < self.end else range(0)

    def widened(self, margin: int) -> "Range":
        """Return the range with `margin` more positions on either side."""
        return Range(self.first - margin, self.end + margin)

    def common(self, other: "Range") -> "Range":
        """Return the positions that are in both; they may be none."""
        return Range(max(self.first, other.first), min(self.end, other.end))

    def without(self, part: "Range") -> tuple["Range", ...]:
        """Return the positions before and after a part of it; all of them if the part has none."""
        if part.first >= part.end:
            return (self,)
        return Range(self.first, part.first), Range(part.end, self.end)

    def joined(self, other: "Range") -> "Range":
        """Return the positions from the first to the last of both, or `other` if this one has none."""
        if self.first >= self.end:
            return other
        return Range(min(self.first, other.first), max(self.end, other.end))


class Replacement(NamedTuple):
    """An alternate allele: bases in the place of some of the reference's. Numbers may be scalars of JAX."""

    start: Any  # position of the first replaced base
    reference_bp: Any
    alternate_bp: Any
    bases: Any  # uint8 (most,): the alternate's, padded to the most that a call allows

    @property
    def growth(self) -> Any:
        """By how many bases the alternate is longer."""
        return self.alternate_bp - self.reference_bp


class ReferenceTiles:
    """The activations of a stretch of reference sequence on one strand; the stretch moves along with the alleles.

    Args:
        trunk: of the ensemble.
        weights: of each of its networks.
        threads: in which networks run side by side; faster than one network after the other, each in all threads.
        predicted_bp: the most positions of the reference that one allele needs predictions of.
    """

    def __init__(
        self, trunk: DilatedTrunk, weights: Sequence[Weights], threads: Executor, predicted_bp: int
    ) -> None:
        self._config, self._weights, self._threads = trunk.config, weights, threads
        channels, dtype = self._config.channels, trunk.stem.kernel.dtype
        rows = [_ring_rows(predicted_bp + 2 * layer.after_bp) for layer in self._config.layers]
        self._rings = [tuple(jnp.zeros((count, TILE_BP, channels), dtype) for count in rows) for _ in weights]
        self._bases = np.zeros((_ring_rows(predicted_bp + 2 * self._config.margin_bp), TILE_BP), np.uint8)
        self._forget()

    def has(self, codes: UInt8[np.ndarray, " bases"], first: int) -> bool:
        """Return whether this sequence and the known one have positions in common, and equal bases there."""
        common = self._known_bases.common(Range(first, first + len(codes)))
        known = self._bases.reshape(-1)[common.positions % self._bases.size]
        return len(known) > 0 and np.array_equal(known, codes[common.positions - first])

    def embed(
        self,
        codes: UInt8[np.ndarray, " bases"],
        first: int,
        reference_first: int,
        alternate_first: int,
        size: int,
        allele: Replacement,
    ) -> tuple[Float[Array, "networks size channels"], Float[Array, "networks size channels"]]:
        """Embed the reference and an alternate allele, at as many positions of each.

        Args:
            codes: the reference, with the margins of all positions that are read.
            first: position of its first base.
            reference_first: the first position of the reference.
            alternate_first: the first position of the alternate.
            size: the number of positions.
            allele: the alternate allele.
        """
        needed = Range(alternate_first, alternate_first + size - allele.growth)
        needed = needed.joined(Range(reference_first, reference_first + size))
        self._learn(codes, first, needed.widened(self._config.margin_bp))
        tiles, counts = self._claim(needed)
        places = np.array([reference_first, alternate_first, *allele[:3]], np.int32)
        try:
            return self._run(tiles, counts, places, allele.bases, size)
        except BaseException:
            self._forget()  # what was claimed may not have been computed
            raise

    def _run(
        self,
        tiles: Int32[np.ndarray, "layers most"],
        counts: Int32[np.ndarray, " layers"],
        places: Int32[np.ndarray, "5"],
        alternate: UInt8[np.ndarray, " bases"],
        size: int,
    ) -> tuple[Float[Array, "networks size channels"], Float[Array, "networks size channels"]]:
        """Compute the tiles, and embed both alleles, with all networks; see `_embed`."""
        bases = self._bases
        first_network = self._weights[0], self._rings[0], bases
        # Compiled here, because other threads do not have the settings of JAX that hold in this one.
        fill = _compiled(_fill, (self._config,), *first_network, tiles, counts)
        embed = _compiled(_embed, (self._config, size), *first_network, places, alternate)

        def fill_rings(number: int) -> None:
            self._rings[number] = fill(self._weights[number], self._rings[number], bases, tiles, counts)
            jax.block_until_ready(self._rings[number])

        def embed_alleles(number: int, filled: Future[None] | None) -> tuple[Array, Array]:
            if filled is not None:
                filled.result()
            embedded = embed(self._weights[number], self._rings[number], bases, places, alternate)
            return jax.block_until_ready(embedded)

        # All tasks of the first kind come first, so that the threads have work to the end, and none waits long.
        numbers = range(len(self._weights))
        filled = [self._threads.submit(fill_rings, number) if counts.any() else None for number in numbers]
        both = zip(*self._threads.map(embed_alleles, numbers, filled), strict=True)
        of_reference, of_alternate = map(jnp.stack, both)
        return of_reference, of_alternate

    def _forget(self) -> None:
        self._known_bases = Range(0, 0)
        self._known = [Range(0, 0)] * len(self._config.layers)

    def _learn(self, codes: UInt8[np.ndarray, " bases"], first: int, needed: Range) -> None:
        """Take over the bases that are needed, and forget all that is known if it is of another sequence."""
        if not self.has(codes, first):
            self._forget()
        self._bases.reshape(-1)[needed.positions % self._bases.size] = codes[needed.positions - first]
        self._known_bases = _kept(self._known_bases, needed).joined(needed)

    def _claim(self, needed: Range) -> tuple[Int32[np.ndarray, "layers most"], Int32[np.ndarray, " layers"]]:
        """Return the tiles of each layer that are to be computed for these predictions, and their numbers."""
        tiles = np.zeros((len(self._known), len(self._rings[0][0])), np.int32)
        counts = np.zeros(len(tiles), np.int32)
        for index, layer in enumerate(self._config.layers):
            read = needed.widened(layer.after_bp)
            kept = _kept(self._known[index], read)
            self._known[index] = kept.joined(read)
            new = self._known[index].without(kept)
            numbers = sorted({tile for part in new for tile in part.tiles})
            counts[index] = len(numbers)
            tiles[index, : len(numbers)] = numbers
        return tiles, counts


def _ring_rows(positions: int) -> int:
    """Return the rows of a ring for so many positions, with a tile more on either side, which may begin before them."""
    return -(-positions // TILE_BP) + 3


def _kept(known: Range, needed: Range) -> Range:
    """Return what is kept of the known positions: those that fit into a ring beside the needed ones."""
    return known.common(needed.widened(TILE_BP))


_COMPILED: dict[Any, Any] = {}


def _compiled(function: Any, static: tuple[Any, ...], *args: Any) -> Callable[..., Any]:
    """Return a jitted function, compiled for arguments of these shapes, to be called without the static ones."""
    leaves = jax.tree.leaves(args)
    devices = {device for leaf in leaves if isinstance(leaf, jax.Array) for device in leaf.devices()}
    key = function, static, frozenset(devices), tuple((leaf.shape, leaf.dtype) for leaf in leaves)
    if key not in _COMPILED:
        _COMPILED[key] = function.lower(*static, *args).compile()
    return cast(Callable[..., Any], _COMPILED[key])


@functools.partial(jax.jit, static_argnums=0, donate_argnames="rings")
def _fill(
    config: DilatedConfig,
    weights: Weights,
    rings: tuple[Float[Array, "_ tile channels"], ...],
    bases: UInt8[Array, "_ tile"],
    tiles: Int32[Array, "layers most"],
    counts: Int32[Array, " layers"],
) -> tuple[Float[Array, "_ tile channels"], ...]:
    """Compute tiles of the reference, layer by layer."""
    filled = list(rings)

    def read(index: int, first: Array, size: int) -> Float[Array, "positions channels"]:
        if index < 0:
            return stem(weights, one_hot(_read(bases, first, size), rings[0].dtype))
        return _read(filled[index], first, size)

    for index, layer in enumerate(config.layers):

        def compute(step: Array, ring: Array, index: int = index) -> Array:
            layer, first = config.layers[index], tiles[index, step] * TILE_BP
            x = read(index - 1, first - layer.margin_bp, TILE_BP + 2 * layer.margin_bp)
            y = convolve(config, weights, layer, x[None])[0]
            if layer.number == 2:
                y += read(index - 2, first, TILE_BP)
            return ring.at[tiles[index, step] % len(ring)].set(y)

        filled[index] = jax.lax.fori_loop(0, counts[index], compute, rings[index])
    return tuple(filled)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _embed(
    config: DilatedConfig,
    size: int,
    weights: Weights,
    rings: tuple[Float[Array, "_ tile channels"], ...],
    bases: UInt8[Array, "_ tile"],
    places: Int32[Array, "5"],
    alternate_bases: UInt8[Array, " most"],
) -> tuple[Float[Array, "size channels"], Float[Array, "size channels"]]:
    """Return the embeddings of the reference, whose tiles are there, and of the alternate."""
    reference_first, alternate_first, start, reference_bp, alternate_bp = places
    allele = Replacement(start, reference_bp, alternate_bp, alternate_bases)
    last = [index for index, layer in enumerate(config.layers) if layer.ends_group]
    dna = one_hot(_read(bases, reference_first, size), rings[0].dtype)
    reference = [stem(weights, dna), *(_read(rings[index], reference_first, size) for index in last)]
    stream = _Alternate(weights, rings, bases, allele)
    for index, layer in enumerate(config.layers):
        # Where the variant reaches, as far as later layers read it.
        whole = size + 2 * layer.after_bp
        computed = min(2 * layer.reach_bp + len(allele.bases), whole)
        least = alternate_first - layer.after_bp
        first = jnp.clip(allele.start - layer.reach_bp, least, least + whole - computed)
        beside = 2 * layer.margin_bp + len(allele.bases)
        x = stream.read(index - 1, first - layer.margin_bp, computed + 2 * layer.margin_bp, beside)
        y = convolve(config, weights, layer, x[None])[0]
        if layer.number == 2:
            y += stream.read(index - 2, first, computed, beside)
        stream.add(y, first, is_whole=computed == whole)
    alternate = [stream.read(index, alternate_first, size, size) for index in (-1, *last)]
    return sum_skips(weights, reference), sum_skips(weights, alternate)


class _Alternate:
    """The outputs of all layers for an alternate allele: computed in some range, the reference's beside it.

    The replaced bases are among the predicted positions, so that they are in each range.
    """

    def __init__(self, weights: Weights, rings: tuple[Array, ...], bases: Array, allele: Replacement) -> None:
        self._weights, self._rings, self._bases, self._allele = weights, rings, bases, allele
        self._computed: list[tuple[Array, Array, bool]] = []

    def add(
        self, output: Float[Array, "positions channels"], first: Int[Array, ""], *, is_whole: bool
    ) -> None:
        """Add what was computed of the next layer; it may be all that is ever read."""
        self._computed.append((output, first, is_whole))

    def read(
        self, index: int, first: Int[Array, ""], size: int, beside: int
    ) -> Float[Array, "size channels"]:
        """Return the output of a layer, of which at most `beside` positions on either side were not computed.

        Of -1, return the input of the first layer.
        """
        if index < 0:
            return stem(self._weights, one_hot(self._read_bases(first, size), self._rings[0].dtype))
        output, output_first, is_whole = self._computed[index]
        if not is_whole:
            ring, end = self._rings[index], output_first + len(output)
            output_first -= beside
            before, after = _read(ring, output_first, beside), _read(ring, end - self._allele.growth, beside)
            output = jnp.concatenate([before, output, after])
        return jax.lax.dynamic_slice_in_dim(output, first - output_first, size)

    def _read_bases(self, first: Int[Array, ""], size: int) -> UInt8[Array, " size"]:
        """Return bases: the reference's before the allele and, at other positions, behind it."""
        allele, position = self._allele, first + jnp.arange(size)
        before, after = (_read(self._bases, first - shift, size) for shift in (0, allele.growth))
        replaced = allele.bases[jnp.clip(position - allele.start, 0, len(allele.bases) - 1)]
        unchanged = jnp.where(position < allele.start, before, after)
        is_replaced = (position >= allele.start) & (position < allele.start + allele.alternate_bp)
        return jnp.where(is_replaced, replaced, unchanged)


def _read(
    ring: Shaped[Array, "rows tile ..."], first: Int[Array, ""], size: int
) -> Shaped[Array, "size ..."]:
    """Return `size` positions of a ring."""
    rows = jnp.arange(-(-size // TILE_BP) + 1) + first // TILE_BP
    tiles = ring[rows % len(ring)]
    return jax.lax.dynamic_slice_in_dim(tiles.reshape(-1, *ring.shape[2:]), first % TILE_BP, size)
