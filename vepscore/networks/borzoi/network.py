"""The whole network: DNA in, embeddings and predictions out.

Source: johahi/borzoi-pytorch, `pytorch_borzoi_model.py:Borzoi`; calico/borzoi, `examples/params_pred.json`.
"""

import functools
import itertools

from flax import nnx
from jaxtyping import Array, Float

from vepscore.networks.borzoi.config import BorzoiConfig
from vepscore.networks.borzoi.heads import SquashedHead
from vepscore.networks.borzoi.layers import UpBlock, gelu, max_pool, position_features
from vepscore.networks.coverage_network import ConvBlock, CoverageNetwork
from vepscore.networks.relative_attention import TransformerLayer, TransformerSizes

_STEM_WIDTH_BP = 15
_TOWER_WIDTH = 5  # of the convolutions of the tower, at the resolution of each block
_LAYER_NORM_EPSILON = 1e-3


class Borzoi(CoverageNetwork):
    """A network of the Borzoi family, of any size."""

    def __init__(self, config: BorzoiConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        self.margin_bp = config.margin_bp
        channels = (config.stem_channels, *config.tower_channels)
        *_, at_32bp, at_64bp = channels
        sizes = _transformer_sizes(config)
        block = functools.partial(ConvBlock, activation=gelu, rngs=rngs)
        self.stem = nnx.Conv(4, config.stem_channels, _STEM_WIDTH_BP, rngs=rngs)
        self.tower = nnx.List(
            block(before, after, width=_TOWER_WIDTH) for before, after in itertools.pairwise(channels)
        )
        self.transformer = nnx.List(
            TransformerLayer(sizes, rngs=rngs) for _ in range(config.transformer_layers)
        )
        self.up_64bp = UpBlock(config.trunk_channels, at_64bp, rngs=rngs)
        self.up_32bp = UpBlock(config.trunk_channels, at_32bp, rngs=rngs)
        self.final = block(config.trunk_channels, config.embedding_channels, width=1)
        self.heads = nnx.Dict(
            {
                str(output): SquashedHead(config.organisms, config.embedding_channels, tracks, rngs=rngs)
                for output, tracks in config.heads.items()
            }
        )

    def trunk(self, dna: Float[Array, "batch bp 4"]) -> Float[Array, "batch bins channels"]:
        """Return what the last block reads, in bins of 32 bp."""
        x, skips = max_pool(self.stem(dna)), []
        for block in self.tower:
            x = block(x)
            skips.append(x)
            x = max_pool(x)
        for layer in self.transformer:
            x = layer(x)
        return self.up_32bp(self.up_64bp(x, skips[-1]), skips[-2])


def _transformer_sizes(config: BorzoiConfig) -> TransformerSizes:
    return TransformerSizes(
        channels=config.trunk_channels,
        heads=config.attention_heads,
        key_channels=config.key_channels,
        value_channels=config.value_channels,
        features=config.position_features,
        describe=functools.partial(
            position_features, count=config.position_features, window_bins=config.window_trunk_bins
        ),
        epsilon=_LAYER_NORM_EPSILON,
    )
