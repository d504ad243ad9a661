"""The whole network: DNA in, embeddings and predictions out.

Source: google-deepmind/deepmind-research, `enformer/enformer.py:Enformer`.
"""

import functools
import itertools

from flax import nnx
from jaxtyping import Array, Float

from vepscore.networks.coverage_network import ConvBlock, CoverageNetwork, Head
from vepscore.networks.enformer.config import EnformerConfig
from vepscore.networks.enformer.layers import PoolingBlock, gelu
from vepscore.networks.enformer.positions import describe_distances
from vepscore.networks.relative_attention import TransformerLayer, TransformerSizes

_STEM_WIDTH_BP = 15
_TOWER_WIDTH = 5  # of the convolutions of the tower, at the resolution of each block
_LAYER_NORM_EPSILON = 1e-5


class Enformer(CoverageNetwork):
    """A network of the Enformer family, of any size."""

    def __init__(self, config: EnformerConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        self.margin_bp = config.margin_bp
        channels = (config.stem_channels, *config.tower_channels)
        sizes = _transformer_sizes(config)
        block = functools.partial(ConvBlock, activation=gelu, rngs=rngs)
        stem = nnx.Conv(4, config.stem_channels, _STEM_WIDTH_BP, rngs=rngs)
        self.stem = PoolingBlock(stem, config.stem_channels, rngs=rngs)
        self.tower = nnx.List(
            PoolingBlock(block(before, after, width=_TOWER_WIDTH), after, rngs=rngs)
            for before, after in itertools.pairwise(channels)
        )
        self.transformer = nnx.List(
            TransformerLayer(sizes, rngs=rngs) for _ in range(config.transformer_layers)
        )
        self.final = block(config.trunk_channels, config.embedding_channels, width=1)
        self.heads = nnx.Dict(
            {
                str(output): Head(config.organisms, config.embedding_channels, tracks, rngs=rngs)
                for output, tracks in config.heads.items()
            }
        )

    def trunk(self, dna: Float[Array, "batch bp 4"]) -> Float[Array, "batch bins channels"]:
        """Return what the last block reads, at all bins of the windows."""
        x = self.stem(dna)
        for block in self.tower:
            x = block(x)
        for layer in self.transformer:
            x = layer(x)
        return x


def _transformer_sizes(config: EnformerConfig) -> TransformerSizes:
    return TransformerSizes(
        channels=config.trunk_channels,
        heads=config.attention_heads,
        key_channels=config.key_channels,
        value_channels=config.value_channels,
        features=config.position_features,
        describe=functools.partial(describe_distances, config),
        epsilon=_LAYER_NORM_EPSILON,
    )
