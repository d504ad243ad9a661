"""The heads: coverage of tracks from embeddings, in the units of the published targets before they were squashed.

A target y (a sum or mean of coverage over 32 bp, times the track's scale s) was squashed before training: raised to 3/4
if its statistic in the table of targets is `sum_sqrt`, then c + √(y - c) where it exceeded c, the column `clip_soft`.
The network predicts the squashed target. Published scripts undo it before they compute scores, with p the prediction:

    t = p / s;   t = c + (t - c)² where t > c;   t = t^(4/3) for sum_sqrt;   t · s

The column `clip` limits targets and cannot be undone.

Source: calico/baskerville, `dataset.py:untransform_preds1`, which calico/borzoi's `borzoi_sed.py -u` calls for the
published weights.
"""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Float32

from vepscore.model.network import OrganismIndex, OrganismParam
from vepscore.networks.coverage_network import Head


class SquashedHead(Head):
    """Predicts squashed targets, and undoes the squashing."""

    def __init__(self, organisms: int, in_channels: int, tracks: int, *, rngs: nnx.Rngs) -> None:
        super().__init__(organisms, in_channels, tracks, rngs=rngs)
        self.scale = OrganismParam(jnp.ones((organisms, tracks)))  # s
        self.soft_clip = OrganismParam(jnp.full((organisms, tracks), 384.0))  # c
        self.is_root = OrganismParam(jnp.zeros((organisms, tracks)))  # 1 for sum_sqrt, 0 for others

    def __call__(
        self, x: Float[Array, "*batch in_channels"], organism: OrganismIndex
    ) -> Float32[Array, "*batch tracks"]:
        """Return the coverage, that is, the prediction with the squashing undone."""
        scale, soft_clip, is_root = (
            parameter[organism].astype(jnp.float32)
            for parameter in (self.scale, self.soft_clip, self.is_root)
        )
        y = self.squashed(x, organism) / scale
        y = jnp.where(y > soft_clip, soft_clip + jnp.square(y - soft_clip), y)
        return jnp.where(is_root > 0, y * jnp.cbrt(y), y) * scale

    def squashed(
        self, x: Float[Array, "*batch in_channels"], organism: OrganismIndex
    ) -> Float32[Array, "*batch tracks"]:
        """Return the squashed target as predicted, which is the output of the published network."""
        return super().__call__(x, organism)
