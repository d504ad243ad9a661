"""The transformer of Enformer and Borzoi: attention over all bins, with logits of content and of relative position.

Source: google-deepmind/deepmind-research, `enformer/attention_module.py`; calico/baskerville,
`layers.py:MultiheadAttention`.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float32, Int

_BLOCK_QUERIES = 512  # bins whose logits are in memory at a time


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransformerSizes:
    """The sizes of a transformer.

    Attributes:
        channels: of each bin.
        heads: of attention.
        key_channels: of keys and queries, per head.
        value_channels: per head.
        features: of the distance of two bins.
        describe: returns the features of distances j - i in bins, which may be beyond the largest window.
        epsilon: of layer norms.
    """

    channels: int
    heads: int
    key_channels: int
    value_channels: int
    features: int
    describe: Callable[[Int[np.ndarray, " distances"]], Float32[np.ndarray, "distances features"]]
    epsilon: float


class TransformerLayer(nnx.Module):
    """Attention, then two linear layers with a ReLU between them; each normalizes its input and adds to it."""

    def __init__(self, sizes: TransformerSizes, *, rngs: nnx.Rngs) -> None:
        channels = sizes.channels
        self.attention_norm = _layer_norm(sizes, rngs=rngs)
        self.attention = RelativeAttention(sizes, rngs=rngs)
        self.mlp_norm = _layer_norm(sizes, rngs=rngs)
        self.expand = nnx.Linear(channels, 2 * channels, rngs=rngs)
        self.contract = nnx.Linear(2 * channels, channels, rngs=rngs)

    def __call__(self, x: Float[Array, "batch bins channels"]) -> Float[Array, "batch bins channels"]:
        x = x + self.attention(self.attention_norm(x))
        return x + self.contract(jax.nn.relu(self.expand(self.mlp_norm(x))))


class RelativeAttention(nnx.Module):
    """Attention of several heads. The logit of the bins i and j, for features f of their distance, is

        (q_i / √C + u)·k_j + (q_i / √C + v)·(W f(j - i))

    The second term is computed as (Wᵀ(q_i / √C + v))·f(j - i) if there are fewer features than key channels. Logits
    are computed for a block of queries at a time.
    """

    def __init__(self, sizes: TransformerSizes, *, rngs: nnx.Rngs) -> None:
        self.sizes = sizes
        channels, heads = sizes.channels, sizes.heads
        keys, values = heads * sizes.key_channels, heads * sizes.value_channels
        self.query, self.key, self.value, self.position = (
            nnx.Linear(size, out_channels, use_bias=False, rngs=rngs)
            for size, out_channels in (
                (channels, keys),
                (channels, keys),
                (channels, values),
                (sizes.features, keys),
            )
        )
        self.content_bias = nnx.Param(jnp.zeros((heads, sizes.key_channels)))
        self.position_bias = nnx.Param(jnp.zeros((heads, sizes.key_channels)))
        self.out = nnx.Linear(values, channels, rngs=rngs)

    def __call__(self, x: Float[Array, "batch bins channels"]) -> Float[Array, "batch bins channels"]:
        query = self._per_head(self.query(x)) * jnp.asarray(self.sizes.key_channels**-0.5, x.dtype)
        by_content = query + self.content_bias[...][:, None]
        by_position = query + self.position_bias[...][:, None]
        key, value = self._per_head(self.key(x)), self._per_head(self.value(x))
        attended = self._attend(by_content, by_position, key, value)
        return self.out(jnp.moveaxis(attended, 1, 2).reshape(*x.shape[:2], -1))

    def _per_head(
        self, x: Float[Array, "*batch rows channels"]
    ) -> Float[Array, "*batch heads rows head_channels"]:
        return jnp.moveaxis(x.reshape(*x.shape[:-1], self.sizes.heads, -1), -2, -3)

    def _attend(
        self,
        by_content: Float[Array, "batch heads bins key_channels"],
        by_position: Float[Array, "batch heads bins key_channels"],
        key: Float[Array, "batch heads bins key_channels"],
        value: Float[Array, "batch heads bins value_channels"],
    ) -> Float[Array, "batch heads bins value_channels"]:
        """Return the values weighted by the softmax of the logits, one block of queries after the other."""
        bins = key.shape[2]
        block = min(bins, _BLOCK_QUERIES)
        queries = -(-bins // block) * block  # those past the end are computed and dropped
        by_distance, distance_key = self._read_distances(by_position, np.arange(1 - queries, bins))
        by_content, by_distance = _pad_bins(by_content, queries), _pad_bins(by_distance, queries)

        def attend(start: Int[Array, ""]) -> Float[Array, "batch heads block value_channels"]:
            content, distance = (
                jax.lax.dynamic_slice_in_dim(x, start, block, axis=2) for x in (by_content, by_distance)
            )
            # The distances of the block's last query from the first bin to its first query from the last bin.
            first = queries - start - block
            distances = jax.lax.dynamic_slice_in_dim(distance_key, first, block + bins - 1, axis=1)
            position = read_diagonals(_logits("bhic,hdc->bhid", distance, distances))
            logits = _logits("bhic,bhjc->bhij", content, key) + position
            weights = jax.nn.softmax(logits, axis=-1).astype(value.dtype)
            return jnp.einsum("bhij,bhjc->bhic", weights, value)

        blocks = jax.lax.map(attend, jnp.arange(0, queries, block))
        return jnp.moveaxis(blocks, 0, 2).reshape(*value.shape[:2], queries, -1)[:, :, :bins]

    def _read_distances(
        self,
        query: Float[Array, "batch heads bins key_channels"],
        distances: Int[np.ndarray, " distances"],
    ) -> tuple[Float[Array, "batch heads bins width"], Float[Array, "heads distances width"]]:
        """Return queries and keys of distances, of whichever width is less: that of keys or that of features."""
        features = jnp.asarray(self.sizes.describe(distances), query.dtype)
        if self.sizes.features > self.sizes.key_channels:
            return query, self._per_head(self.position(features))
        weight = self._per_head(self.position.kernel[...])
        by_feature = jnp.einsum("bhic,hfc->bhif", query, weight)
        return by_feature, jnp.broadcast_to(features, (len(weight), *features.shape))


def read_diagonals(
    x: Float[Array, "*batch rows distances"],
) -> Float[Array, "*batch rows distances-rows+1"]:
    """Return out[…, i, j] = x[…, i, rows - 1 + j - i]: by bin, from values by distance.

    In row-major order that is the element rows - 1 + i·(distances - 1) + j, so rows that are shorter by one hold it in
    column j of row i.
    """
    *leading, rows, distances = x.shape
    if rows == 1:
        return x
    flat = x.reshape(*leading, -1)[..., rows - 1 : rows - 1 + rows * (distances - 1)]
    return flat.reshape(*leading, rows, distances - 1)[..., : distances - rows + 1]


def _layer_norm(sizes: TransformerSizes, *, rngs: nnx.Rngs) -> nnx.LayerNorm:
    return nnx.LayerNorm(sizes.channels, epsilon=sizes.epsilon, use_fast_variance=False, rngs=rngs)


def _pad_bins(x: Float[Array, "batch heads bins _"], bins: int) -> Float[Array, "batch heads {bins} _"]:
    return jnp.pad(x, ((0, 0), (0, 0), (0, bins - x.shape[2]), (0, 0)))


def _logits(spec: str, a: Float[Array, "..."], b: Float[Array, "..."]) -> Float32[Array, "..."]:
    return jnp.einsum(spec, a, b, preferred_element_type=jnp.float32)
