"""The form in which a checkpoint stores a network: its convolutions have standardized kernels and no scale."""

from flax import nnx

from vepscore.model.loading import abstract
from vepscore.networks.alphagenome.config import ModelConfig
from vepscore.networks.alphagenome.layers import standardized_convolutions
from vepscore.networks.alphagenome.network import AlphaGenome


def abstract_alphagenome(architecture: ModelConfig) -> AlphaGenome:
    """Create a network of shapes without arrays, with the scales of its convolutions."""
    return abstract(lambda rngs: AlphaGenome(architecture, rngs=rngs))


def drop_scales(network: nnx.Module) -> None:
    """Prepare a network that has scales to be filled with standardized kernels."""
    for conv in standardized_convolutions(network):
        conv.drop_scale()
