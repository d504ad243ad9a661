"""What networks have in common that predict coverage of tracks in bins: blocks, heads, and what the engine asks for."""

import abc
from collections.abc import Callable, Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float32, Int

from vepscore.model.network import Network, OrganismIndex, OrganismParam
from vepscore.outputs import Output


class ChannelAffine(nnx.Module):
    """x·scale + offset per channel: a batch norm with its statistics folded in."""

    def __init__(self, channels: int) -> None:
        self.scale = nnx.Param(jnp.ones((channels,)))
        self.offset = nnx.Param(jnp.zeros((channels,)))

    def __call__(self, x: Float[Array, "*batch channels"]) -> Float[Array, "*batch channels"]:
        return x * self.scale[...] + self.offset[...]


class ConvBlock(nnx.Module):
    """Batch norm, activation and a zero-padded convolution; a linear layer if the width is 1."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        width: int,
        activation: Callable[[Array], Array],
        rngs: nnx.Rngs,
    ) -> None:
        self.activation = activation
        self.norm = ChannelAffine(in_channels)
        self.conv: nnx.Linear | nnx.Conv = (
            nnx.Linear(in_channels, out_channels, rngs=rngs)
            if width == 1
            else nnx.Conv(in_channels, out_channels, width, rngs=rngs)
        )

    def __call__(
        self, x: Float[Array, "batch positions in_channels"]
    ) -> Float[Array, "batch positions out_channels"]:
        return self.conv(self.activation(self.norm(x)))


class Head(nnx.Module):
    """A linear layer and a softplus, with weights for each organism."""

    def __init__(self, organisms: int, in_channels: int, tracks: int, *, rngs: nnx.Rngs) -> None:
        initial = nnx.initializers.lecun_normal(in_axis=1, out_axis=2, batch_axis=0)
        self.weight = OrganismParam(initial(rngs.params(), (organisms, in_channels, tracks)))
        self.bias = OrganismParam(jnp.zeros((organisms, tracks)))

    def __call__(
        self, x: Float[Array, "*batch in_channels"], organism: OrganismIndex
    ) -> Float32[Array, "*batch tracks"]:
        product = jnp.matmul(x, self.weight[organism], preferred_element_type=jnp.float32)
        return jax.nn.softplus(product + self.bias[organism])

    def keep(self, channels: Int[np.ndarray, " tracks"]) -> None:
        """Keep only these channels, in this order."""
        for name, parameter in list(vars(self).items()):
            if isinstance(parameter, OrganismParam):
                setattr(self, name, OrganismParam(parameter[..., channels]))


class CoverageNetwork(Network):
    """A network with one embedding per bin, from which a head per output predicts.

    Attributes:
        config: its architecture, with `crop_bins`, the bins at each end of a window that are not predicted.
        final: the last block before the heads.
        heads: by name of the output.
    """

    config: Any
    final: ConvBlock
    heads: nnx.Dict

    @property
    def dtype(self) -> jnp.dtype:
        """Return the dtype of the parameters."""
        return self.final.conv.kernel.dtype

    @property
    def device(self) -> jax.Device:
        """Return a device that has the parameters."""
        return next(iter(self.final.conv.kernel.devices()))

    @abc.abstractmethod
    def trunk(self, dna: Float[Array, "batch bp 4"]) -> Float[Array, "batch bins channels"]:
        """Return what the last block reads, at all bins of the windows."""

    def embed(
        self, dna: Float[Array, "batch bp 4"], organism: OrganismIndex
    ) -> Float[Array, "batch bins channels"]:
        """Embed a batch of windows of one length, without the bins of the margins.

        Args:
            dna: one-hot, in the dtype of the parameters; N is four zeros.
            organism: not used, since only the heads differ between organisms.
        """
        del organism
        x, crop = self.trunk(dna), self.config.crop_bins
        return self.final.activation(self.final(x[:, crop : x.shape[1] - crop]))

    def predict(
        self, output: Output, x: Float[Array, "*batch channels"], organism: OrganismIndex
    ) -> Float32[Array, "*batch tracks"]:
        """Return the coverage of the tracks of `output`, from embeddings at any bins."""
        return self.heads[str(output)](x, organism)

    def keep_outputs(self, outputs: Collection[Output]) -> None:
        """Drop the heads of all other outputs, before the arrays are read."""
        for name in list(self.heads):
            if Output(name) not in outputs:
                del self.heads[name]

    def with_tracks(self, channels: Mapping[Output, Int[np.ndarray, " tracks"]]) -> Network:
        """Return a copy whose heads have only these channels, in this order; it shares all other arrays."""
        network = nnx.merge(*nnx.split(self))
        network.heads = nnx.clone(network.heads)
        for output, kept in channels.items():
            network.heads[str(output)].keep(kept)
        return network
