"""Rotary position embedding, as AlphaGenome forms it.

Source: google-deepmind/alphagenome_research 0.2.0, `model/attention.py:apply_rope`.
"""

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Float32, Int


def rotate(
    x: Float[Array, "*batch positions heads channels"],
    positions: Int[Array, "*_ positions"],
    *,
    max_position: int,
    table_dtype: DTypeLike,
) -> Float[Array, "*batch positions heads channels"]:
    """Rotate the interleaved channel pairs of `x` by angles that grow with the position.

    The frequencies are 1 / (i + geomspace(1, max − n + 1, n)_i) for the n pairs. Released weights were trained with
    positions, frequencies and angles all rounded to bfloat16, so the checkpoint sets the dtype of the table, not the
    run. Cosines and sines are computed in float32 and cast to the dtype of `x`.

    Args:
        x: an even number of channels.
        positions: of `x`, broadcast over its batch.
        max_position: the position at which the slowest frequency is reached.
        table_dtype: float32 or bfloat16.
    """
    info = jnp.finfo(table_dtype)

    def rounded(table: Array) -> Float32[Array, "..."]:
        # A compiler may drop a cast there and back as excess precision, so casts alone would not round.
        return jax.lax.reduce_precision(table.astype(jnp.float32), info.nexp, info.nmant)

    pairs = x.shape[-1] // 2
    spread = rounded(jnp.arange(pairs) + jnp.geomspace(1, max_position - pairs + 1, pairs))
    frequency = rounded(1.0 / spread.astype(table_dtype)).astype(table_dtype)
    angle = rounded(positions).astype(table_dtype)[..., None] * frequency
    angle = rounded(jnp.repeat(angle, 2, axis=-1)[..., None, :])
    rotated = jnp.stack([-x[..., 1::2], x[..., ::2]], axis=-1).reshape(x.shape)
    return x * jnp.cos(angle).astype(x.dtype) + rotated * jnp.sin(angle).astype(x.dtype)
