"""The stack: dilated residual convolutions at 1 bp that are the same at any place, for both strands.

    one-hot → stem ─┬─ group ─┬─ group ─┬─ … ─┐
                    │        skip      skip  skip → sum, rectified

A group is the consecutive blocks of one dilation. The stack reads transcribed sequence, 5′ to 3′; the other strand is
read as the reverse complement, by the same parameters. No convolution is padded, so each layer is computed where later
ones read it and nowhere else.

Source of the residual blocks and of a skip for every few of them: Jaganathan et al. 2019 (SpliceAI), Figure S1.
"""

import itertools
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from vepscore.model.network import OrganismIndex
from vepscore.networks.alphagenome.layers import convolve
from vepscore.networks.compact.compact_config import BASES, SpliceStackConfig
from vepscore.networks.coverage_network import ChannelAffine
from vepscore.networks.dilated_blocks import blocks_reach_bp


class ValidConv(nnx.Module):
    """A convolution along positions, without padding."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        width: int,
        dilation: int = 1,
        variance: float = 1.0,
        rngs: nnx.Rngs,
    ) -> None:
        shape = (width, in_channels, out_channels)
        initialize = nnx.initializers.variance_scaling(variance, "fan_in", "truncated_normal")
        self.dilation = dilation
        self.kernel = nnx.Param(initialize(rngs.params(), shape))
        self.bias = nnx.Param(jnp.zeros((out_channels,)))

    def __call__(
        self, x: Float[Array, "batch positions in_channels"]
    ) -> Float[Array, "batch out_positions out_channels"]:
        return convolve(x, self.kernel[...], padding="VALID", dilation=self.dilation) + self.bias[...]


class SpliceBlock(nnx.Module):
    """Adds two dilated convolutions to its input; at first, they add little."""

    def __init__(self, channels: int, width: int, dilation: int, *, rngs: nnx.Rngs) -> None:
        self.affine = ChannelAffine(channels)
        self.first, self.second = (
            ValidConv(channels, channels, width=width, dilation=dilation, variance=variance, rngs=rngs)
            for variance in (1.0, 0.01)
        )

    def __call__(
        self, x: Float[Array, "batch positions channels"]
    ) -> Float[Array, "batch out_positions channels"]:
        y = self.second(jax.nn.relu(self.first(jax.nn.relu(self.affine(x)))))
        return _crop(x, y.shape[1]) + y


class SpliceGroup(nnx.Module):
    """Blocks of one dilation; `skip` is the linear layer from their output to the embedding, at first zero.

    Attributes:
        reach_bp: bases on either side of a position that the blocks read.
    """

    def __init__(self, channels: int, widths: Sequence[int], dilation: int, *, rngs: nnx.Rngs) -> None:
        self.reach_bp = blocks_reach_bp(widths, [dilation] * len(widths))
        self.blocks = nnx.List(SpliceBlock(channels, width, dilation, rngs=rngs) for width in widths)
        self.skip = nnx.Linear(
            channels, channels, use_bias=False, kernel_init=nnx.initializers.zeros, rngs=rngs
        )

    def __call__(
        self, x: Float[Array, "batch positions channels"]
    ) -> Float[Array, "batch out_positions channels"]:
        for block in self.blocks:
            x = block(x)
        return x


class SpliceStack(nnx.Module):
    """The whole stack.

    Attributes:
        reach_bp: bases on either side of a position that its embedding depends on.
    """

    def __init__(self, config: SpliceStackConfig, *, rngs: nnx.Rngs) -> None:
        self.stem = ValidConv(BASES, config.channels, width=config.stem_width, rngs=rngs)
        self.groups = nnx.List(
            SpliceGroup(config.channels, widths, dilation, rngs=rngs) for dilation, widths in _groups(config)
        )
        self._stem_reach_bp = config.stem_width // 2
        self.reach_bp = config.reach_bp

    @property
    def dtype(self) -> jnp.dtype:
        """Return the dtype of the parameters."""
        return self.stem.kernel.dtype

    @property
    def device(self) -> jax.Device:
        """Return a device that has the parameters."""
        return next(iter(self.stem.kernel.devices()))

    def embed(
        self, dna: Float[Array, "batch bp 4"], organism: OrganismIndex = 0
    ) -> Float[Array, "batch predicted _"]:
        """Embed both strands of genomic sequence, without `reach_bp` at either end.

        Args:
            dna: one-hot, A C G T of the plus strand; N is four zeros.
            organism: ignored.

        Returns:
            The channels of the plus strand and those of the minus strand, in the order of the plus strand's positions.
        """
        del organism
        plus, minus = jnp.split(self.embed_strand(jnp.concatenate([dna, dna[:, ::-1, ::-1]])), 2)
        return jnp.concatenate([plus, minus[:, ::-1]], axis=-1)

    def reach_of(self, groups: int | None) -> int:
        """Return the reach of the first groups; None for all."""
        return self._stem_reach_bp + sum(group.reach_bp for group in self.groups[:groups])

    def embed_strand(
        self, dna: Float[Array, "batch bp 4"], groups: int | None = None
    ) -> Float[Array, "batch predicted channels"]:
        """Embed transcribed sequence by the first groups, or all, without their reach at either end."""
        predicted_bp = dna.shape[1] - 2 * self.reach_of(groups)
        x = self.stem(dna)
        embedding = _crop(x, predicted_bp)
        for group in self.groups[:groups]:
            x = group(x)
            embedding = embedding + group.skip(_crop(x, predicted_bp))
        return jax.nn.relu(embedding)


def _groups(config: SpliceStackConfig) -> Iterator[tuple[int, list[int]]]:
    """Yield the dilation of each group, and the widths of its blocks."""
    sizes = zip(config.dilations, config.widths, strict=True)
    for dilation, blocks in itertools.groupby(sizes, key=lambda size: size[0]):
        yield dilation, [width for _, width in blocks]


def _crop(x: Float[Array, "batch positions channels"], size: int) -> Float[Array, "batch {size} channels"]:
    """Return the `size` positions in the middle."""
    margin = (x.shape[1] - size) // 2
    return x[:, margin : margin + size]
