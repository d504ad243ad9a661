"""The transformer tower: attention over the whole window at 128 bp, biased by a pair representation at 2048 bp.

Axes: bins of 128 bp and rows of 2048 bp are those of a `PositionShard`, which are all unless the window is split over
devices; all_bins and pair_bins are those of the whole window. Queries are the bins that attend.

Source: google-deepmind/alphagenome_research 0.2.0, `model/attention.py`, `model/model.py:TransformerTower`.
"""

import math

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Float32, Int, Shaped

from vepscore.networks.alphagenome.config import TRUNK_BIN_BP, ModelConfig
from vepscore.networks.alphagenome.layers import LayerNorm, RMSBatchNorm, einsum_bfloat16, mean_pool, rotate
from vepscore.outputs import MAX_WINDOW_BP, PAIR_BIN_BP

_MAX_BINS = MAX_WINDOW_BP // TRUNK_BIN_BP
_PAIR_FOLD = PAIR_BIN_BP // TRUNK_BIN_BP
_LOGIT_CAP = 5.0
_MAX_BLOCK_ROWS = 16  # rows of the pair representation whose logits are in memory at a time
_MAX_BLOCK_QUERIES = _MAX_BLOCK_ROWS * _PAIR_FOLD


class PositionShard:
    """The bins of a window that one device holds: all of them, but some in `vepscore.networks.alphagenome.sharding`."""

    def first_bin(self, bins: int) -> int | Int[Array, ""]:
        """Return the index of the first bin of this shard, which has `bins` bins."""
        return 0

    def gather(self, x: Shaped[Array, "batch bins ..."]) -> Shaped[Array, "batch all_bins ..."]:
        """Return all bins, from those of each shard."""
        return x

    def all_to_all(
        self, x: Float[Array, "batch heads rows pair_bins"]
    ) -> Float[Array, "batch heads pair_bins rows"]:
        """Return all rows and the columns of this shard, from the rows of each shard and all columns."""
        return x


UNSHARDED = PositionShard()


class TransformerTower(nnx.Module):
    """Layers of attention and MLP; the pair representation is updated before every second one."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs) -> None:
        layers = range(config.tower_layers)
        self.pair_updates = nnx.List(PairUpdate(config, rngs=rngs) for layer in layers if layer % 2 == 0)
        self.biases = nnx.List(AttentionBias(config, rngs=rngs) for _ in layers)
        self.attentions = nnx.List(Attention(config, rngs=rngs) for _ in layers)
        self.mlps = nnx.List(MLP(config.trunk_channels, rngs=rngs) for _ in layers)

    def __call__(
        self,
        x: Float[Array, "batch bins channels"],
        *,
        rotary_dtype: DTypeLike,
        shard: PositionShard = UNSHARDED,
        query_bins: Int[Array, " queries"] | None = None,
    ) -> tuple[
        Float[Array, "batch queries channels"], Float[Array, "batch bins//16 pair_bins pair_channels"]
    ]:
        """Return the trunk and the pair representation.

        Args:
            x: the trunk before the tower.
            rotary_dtype: dtype of the rotary table, as set by the checkpoint.
            shard: the bins that `x` holds.
            query_bins: bins of the shard for which the last layer is run and the trunk returned; None for all.
        """
        pair, last = self.pair_updates[0](x, None, shard=shard), len(self.mlps) - 1
        for layer, (bias, attention, mlp) in enumerate(
            zip(self.biases, self.attentions, self.mlps, strict=True)
        ):
            if layer > 0 and layer % 2 == 0:
                pair = self.pair_updates[layer // 2](x, pair, shard=shard)
            queries = query_bins if layer == last else None
            mixed = attention(x, bias(pair), queries, rotary_dtype=rotary_dtype, shard=shard)
            x = (x if queries is None else x[:, queries]) + mixed
            x = x + mlp(x)
        return x, pair


class MLP(nnx.Module):
    """Two linear layers between norms."""

    def __init__(self, channels: int, *, rngs: nnx.Rngs) -> None:
        self.norm_in = RMSBatchNorm(channels)
        self.widen = nnx.Linear(channels, 2 * channels, rngs=rngs)
        self.narrow = nnx.Linear(2 * channels, channels, rngs=rngs)
        self.norm_out = RMSBatchNorm(channels, initial_scale=0.1)

    def __call__(self, x: Float[Array, "batch bins channels"]) -> Float[Array, "batch bins channels"]:
        return self.norm_out(self.narrow(jax.nn.relu(self.widen(self.norm_in(x)))))


class Attention(nnx.Module):
    """Multi-query attention: several query heads, one key and one value head, soft-capped logits."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs) -> None:
        channels, heads = config.trunk_channels, config.attention_heads
        self.norm_in = RMSBatchNorm(channels)
        self.query = nnx.Linear(channels, heads * config.key_channels, use_bias=False, rngs=rngs)
        self.key = nnx.Linear(channels, config.key_channels, use_bias=False, rngs=rngs)
        self.value = nnx.Linear(channels, config.value_channels, use_bias=False, rngs=rngs)
        self.norm_query = LayerNorm(config.key_channels, centered=True)
        self.norm_key = LayerNorm(config.key_channels, centered=True)
        self.norm_value = LayerNorm(config.value_channels, centered=True)
        self.project = nnx.Linear(heads * config.value_channels, channels, rngs=rngs)
        self.norm_out = RMSBatchNorm(channels, initial_scale=0.1)
        self.heads = heads

    def __call__(
        self,
        x: Float[Array, "batch bins channels"],
        bias: Float[Array, "batch rows pair_bins heads"],
        queries: Int[Array, " queries"] | None = None,
        *,
        rotary_dtype: DTypeLike,
        shard: PositionShard = UNSHARDED,
    ) -> Float[Array, "batch queries channels"]:
        """Return the update of the bins `queries` of the shard; None for all."""
        batch, bins, _ = x.shape
        h = self.norm_in(x)
        queried, query_bins = (h, jnp.arange(bins)) if queries is None else (h[:, queries], queries)
        query = self.norm_query(self.query(queried).reshape(batch, len(query_bins), self.heads, -1))
        key = self.norm_key(self.key(h).reshape(batch, bins, 1, -1))
        value = self.norm_value(self.value(h))
        query, key = (
            rotate(t, shard.first_bin(bins) + at, max_position=_MAX_BINS, table_dtype=rotary_dtype)
            for t, at in ((query, query_bins), (key, jnp.arange(bins)))
        )
        key, value = shard.gather(key[:, :, 0]), shard.gather(value)
        mixed = _attend(query, key, value, bias, queries).astype(x.dtype)
        return self.norm_out(self.project(mixed.reshape(batch, len(query_bins), -1)))


def _attend(
    query: Float[Array, "batch queries heads key_channels"],
    key: Float[Array, "batch all_bins key_channels"],
    value: Float[Array, "batch all_bins value_channels"],
    bias: Float[Array, "batch rows pair_bins heads"],
    queries: Int[Array, " queries"] | None = None,
) -> Float32[Array, "batch queries heads value_channels"]:
    """Compute softmax(cap · tanh((q·k / √C + bias) / cap)) · v for the bins `queries` of the shard; None for all."""
    pair_bins = bias.shape[2]
    if queries is not None or _block_rows(pair_bins) < pair_bins:
        queries = jnp.arange(query.shape[1]) if queries is None else queries
        return _attend_in_blocks(query, key, value, bias, queries // _PAIR_FOLD)
    # The order of operations and the layout of the official code, so that both round alike.
    bias = jnp.repeat(jnp.repeat(bias, _PAIR_FOLD, axis=1), _PAIR_FOLD, axis=2)
    logits = einsum_bfloat16("bshc,btc->bhst", query, key) / math.sqrt(query.shape[-1])
    logits = (logits + jnp.moveaxis(bias, 3, 1)).astype(jnp.float32)
    weights = jax.nn.softmax(jnp.tanh(logits / _LOGIT_CAP) * _LOGIT_CAP, axis=-1)
    return einsum_bfloat16("bhst,btv->bshv", weights, value)


def _attend_in_blocks(
    query: Float[Array, "batch queries heads key_channels"],
    key: Float[Array, "batch all_bins key_channels"],
    value: Float[Array, "batch all_bins value_channels"],
    bias: Float[Array, "batch rows pair_bins heads"],
    query_rows: Int[Array, " queries"],
) -> Float32[Array, "batch queries heads value_channels"]:
    """Attend with one block of queries at a time, so that the logits of the whole window are never in memory.

    `query_rows` are the rows of the bias to which the queries belong. The layout is fast on a CPU. The softmax needs no
    maximum because the logits are capped, and its sum divides the result.
    """
    batch, count, heads, channels = query.shape
    pair_bins = bias.shape[2]
    block = math.gcd(count, _MAX_BLOCK_QUERIES)
    query = query.reshape(batch, count // block, block, heads, channels)
    bias = jnp.moveaxis(bias, 3, 1)

    def attend(block_inputs: tuple[Array, Array]) -> Array:
        query, rows = block_inputs
        logits = einsum_bfloat16("bhsc,btc->bhst", query, key) / math.sqrt(channels)
        by_pair = logits.reshape(batch, heads, block, pair_bins, _PAIR_FOLD)
        logits = (by_pair + bias[:, :, rows, :, None]).astype(jnp.float32)
        logits = logits.reshape(batch, -1, pair_bins * _PAIR_FOLD)
        weights = jnp.exp(_LOGIT_CAP * jnp.tanh(logits / _LOGIT_CAP))
        mixed = einsum_bfloat16("bst,btv->bsv", weights, value) / weights.sum(axis=-1, keepdims=True)
        return mixed.reshape(batch, heads, block, -1)

    mixed = jax.lax.map(attend, (query.transpose(1, 0, 3, 2, 4), query_rows.reshape(-1, block)))
    return mixed.transpose(1, 0, 3, 2, 4).reshape(batch, count, heads, -1)


def _block_rows(pair_bins: int) -> int:
    """Return the largest number of rows, up to the maximum, that divides the pair bins evenly."""
    return max(rows for rows in range(1, _MAX_BLOCK_ROWS + 1) if pair_bins % rows == 0)


class AttentionBias(nnx.Module):
    """Projects the pair representation to one attention bias per head."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs) -> None:
        self.norm = RMSBatchNorm(config.pair_channels)
        self.project = nnx.Linear(config.pair_channels, config.attention_heads, use_bias=False, rngs=rngs)

    def __call__(
        self, pair: Float[Array, "batch rows pair_bins pair_channels"]
    ) -> Float[Array, "batch rows pair_bins heads"]:
        return self.project(jax.nn.gelu(self.norm(pair)))


class PairUpdate(nnx.Module):
    """Adds an update from the trunk to each pair of bins, then attention along rows and an MLP."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs) -> None:
        self.from_sequence = SequenceToPair(config, rngs=rngs)
        self.row_attention = RowAttention(config.pair_channels, rngs=rngs)
        self.mlp = PairMLP(config.pair_channels, rngs=rngs)

    def __call__(
        self,
        x: Float[Array, "batch bins channels"],
        pair: Float[Array, "batch bins//16 pair_bins pair_channels"] | None,
        *,
        shard: PositionShard = UNSHARDED,
    ) -> Float[Array, "batch bins//16 pair_bins pair_channels"]:
        update = self.from_sequence(x, shard=shard)
        pair = update if pair is None else pair + update
        pair = pair + self.row_attention(pair)
        return pair + self.mlp(pair)


class SequenceToPair(nnx.Module):
    """Computes dot products of pooled positions, with a learned term for their relative position."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs) -> None:
        channels, heads, size = config.trunk_channels, config.pair_heads, config.pair_key_channels
        self.norm = LayerNorm(channels, centered=False)
        self.query = nnx.Linear(channels, heads * size, use_bias=False, rngs=rngs)
        self.key = nnx.Linear(channels, heads * size, use_bias=False, rngs=rngs)
        self.position = nnx.Linear(2 * config.position_features, heads * size, rngs=rngs)
        self.query_bias = nnx.Param(jnp.zeros((heads, size)))
        self.key_bias = nnx.Param(jnp.zeros((heads, size)))
        self.pair = nnx.Linear(heads, config.pair_channels, rngs=rngs)
        self.row = nnx.Linear(channels, config.pair_channels, use_bias=False, rngs=rngs)
        self.column = nnx.Linear(channels, config.pair_channels, use_bias=False, rngs=rngs)
        self.position_features = config.position_features
        self.heads = heads

    def __call__(
        self, x: Float[Array, "batch bins channels"], *, shard: PositionShard = UNSHARDED
    ) -> Float[Array, "batch bins//16 pair_bins pair_channels"]:
        x = self.norm(mean_pool(x, _PAIR_FOLD))
        batch, bins, _ = x.shape
        query, key = (project(x).reshape(batch, bins, self.heads, -1) for project in (self.query, self.key))
        all_keys = shard.gather(key)
        # Every distance from the rows of the shard to any bin; the same for queries and keys.
        distance = jnp.arange(-bins, all_keys.shape[1], dtype=jnp.float32) - shard.first_bin(bins)
        features = _position_features(distance, self.position_features).astype(x.dtype)
        position = self.position(features).reshape(distance.size, self.heads, -1)
        # a[q, k] = q·k + ½ ((q + b_q)·r[k − q] + (k + b_k)·r[q − k])
        by_query = jnp.einsum("bqhc,phc->bhqp", query + self.query_bias[...], position)
        by_key = jnp.einsum("bkhc,phc->bhkp", key + self.key_bias[...], position)
        relative = jnp.moveaxis(_read_diagonals(by_query), 1, 3)
        relative = relative + shard.all_to_all(_read_diagonals(by_key)).transpose(0, 3, 2, 1)
        dots = jnp.einsum("bqhc,bkhc->bqkh", query, all_keys) + 0.5 * relative
        activated = jax.nn.gelu(x)
        column = shard.gather(self.column(activated))
        return self.pair(dots) + self.row(activated)[:, :, None] + column[:, None]


def _position_features(
    distance: Float32[Array, " distances"], count: int
) -> Float32[Array, "distances 2*{count}"]:
    """Return `count` central masks of distances in pair bins, then the same times the sign."""
    longest = _MAX_BINS // _PAIR_FOLD
    widths = jnp.arange(count) + jnp.geomspace(1, longest - count + 1, count, endpoint=False)
    masks = (widths > jnp.abs(distance)[:, None]).astype(jnp.float32)
    return jnp.concatenate([masks, jnp.sign(distance)[:, None] * masks], axis=-1)


def _read_diagonals(x: Float[Array, "*batch rows distances"]) -> Float[Array, "*batch rows distances-rows"]:
    """Return out[…, i, j] = x[…, i, rows + j − i]: by pair of bins, from values by distance."""
    *leading, rows, width = x.shape
    x = x.reshape(*leading, width, rows)[..., 1:, :]
    return x.reshape(*leading, rows, width - 1)[..., : width - rows]


class RowAttention(nnx.Module):
    """Self-attention along each row of the pair representation, one block of rows at a time."""

    def __init__(self, channels: int, *, rngs: nnx.Rngs) -> None:
        self.norm = LayerNorm(channels, centered=False)
        self.query = nnx.Linear(channels, channels, use_bias=False, rngs=rngs)
        self.key = nnx.Linear(channels, channels, use_bias=False, rngs=rngs)
        self.value = nnx.Linear(channels, channels, rngs=rngs)

    def __call__(
        self, pair: Float[Array, "batch rows pair_bins pair_channels"]
    ) -> Float[Array, "batch rows pair_bins pair_channels"]:
        x = self.norm(pair)
        batch, bins, pair_bins, channels = x.shape
        rows = _block_rows(bins)

        def attend(block: tuple[Array, ...]) -> Array:
            query, key, value = block
            logits = einsum_bfloat16("bpqf,bpkf->bpqk", query, key) / math.sqrt(channels)
            return einsum_bfloat16("bpqk,bpkf->bpqf", jax.nn.softmax(logits, axis=-1), value)

        blocks = [
            projected.reshape(batch, bins // rows, rows, pair_bins, channels).swapaxes(0, 1)
            for projected in (self.query(x), self.key(x), self.value(x))
        ]
        mixed = jax.lax.map(attend, tuple(blocks))
        return mixed.swapaxes(0, 1).reshape(x.shape).astype(x.dtype)


class PairMLP(nnx.Module):
    """A norm and two linear layers."""

    def __init__(self, channels: int, *, rngs: nnx.Rngs) -> None:
        self.norm = LayerNorm(channels, centered=False)
        self.widen = nnx.Linear(channels, 2 * channels, rngs=rngs)
        self.narrow = nnx.Linear(2 * channels, channels, rngs=rngs)

    def __call__(
        self, pair: Float[Array, "batch rows pair_bins pair_channels"]
    ) -> Float[Array, "batch rows pair_bins pair_channels"]:
        return self.narrow(jax.nn.relu(self.widen(self.norm(pair))))
