"""The Enformer family, and its published weights as `enformer-pytorch` names them.

Names in the state dict, where numbers are places in a `torch.nn.Sequential`:

    stem               0 convolution, 1.fn block, 2 pooling
    conv_tower.N       0 block, 1.fn block, 2 pooling
    transformer.N      0.fn.0 norm, 0.fn.1 attention; 1.fn.0 norm, 1.fn.1 and 1.fn.4 linear layers
    final_pointwise.1  block
    _heads.ORGANISM.0  linear layer
    block              0 batch norm, 2 convolution

Source: lucidrains/enformer-pytorch 0.8.12, `enformer_pytorch/modeling_enformer.py`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from flax import nnx

from vepscore.model.family import Context
from vepscore.networks.enformer.config import EnformerConfig
from vepscore.networks.enformer.network import Enformer
from vepscore.networks.state_dict import StateDict
from vepscore.networks.state_dict_family import StateDictFamily
from vepscore.networks.state_layers import (
    Arrays,
    infer_transformer_sizes,
    read_batch_norm,
    read_convolution,
    read_linear,
    read_transformer_layer,
    within,
)
from vepscore.outputs import Output
from vepscore.schema import Whole, parse

_BATCH_NORM_EPSILON = 1e-5
_OUTPUTS = (Output.DNASE, Output.ATAC, Output.CHIP_TF, Output.CHIP_HISTONE, Output.CAGE)
# `_trunk` has the parts of the network a second time; a file may have either name of an array, or both.
_TRUNK = {
    "_trunk.1.": "stem.",
    "_trunk.2.": "conv_tower.",
    "_trunk.4.": "transformer.",
    "_trunk.6.": "final_pointwise.",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Settings:
    """Fields that are read of the `config.json` beside the weights, with the values of the published network."""

    window_bins: Annotated[int, Whole(2, 1 << 13)] = 1536
    target_length: Annotated[int, Whole(1, 1 << 13)] = (
        896  # bins that are predicted, as enformer-pytorch names it
    )


_SETTINGS = [field.name for field in dataclasses.fields(_Settings)]


class EnformerFamily(StateDictFamily[EnformerConfig]):
    """Networks of the Enformer architecture, of any size."""

    name = "enformer"
    architecture = EnformerConfig
    license = "CC-BY-4.0"
    citation = "Avsec et al., Nature Methods 18, 1196 (2021)"
    default_scorers = (
        *_OUTPUTS,
        *(f"{statistic}_{output}" for statistic in ("SAD", "SAR") for output in _OUTPUTS),
    )
    state_hint = "pass a state dict of enformer_pytorch.Enformer: safetensors, or a file of PyTorch's"
    targets_hint = (
        "pass --metadata human:targets_human.txt, from calico/basenji, manuscripts/cross2020; and mouse:FILE for mouse "
        "tracks"
    )
    head_name = "_heads.{}.0"
    read_head = staticmethod(read_linear)

    def create(self, architecture: EnformerConfig, rngs: nnx.Rngs) -> Enformer:
        return Enformer(architecture, rngs=rngs)

    def context(self, architecture: EnformerConfig) -> Context:
        return Context(
            least_bp=2 * architecture.margin_bp + architecture.bin_bp,
            most_bp=architecture.window_bp,
            step_bp=architecture.bin_bp,
            margin_bp=architecture.margin_bp,
            align_bp=architecture.bin_bp,
        )

    def resolution_bp(self, architecture: EnformerConfig, output: Output) -> int:
        del output
        return architecture.bin_bp

    def rename(self, name: str) -> str:
        """Return the name of an array outside of `_trunk`."""
        for trunk, part in _TRUNK.items():
            if name.startswith(trunk):
                return part + name.removeprefix(trunk)
        return name

    def infer_sizes(self, source: StateDict, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the sizes that the shapes give, and the settings."""
        known = parse(_Settings, {name: settings[name] for name in _SETTINGS if name in settings})
        return infer_transformer_sizes(source) | {
            "stem_channels": source.shape("stem.0.weight", 3)[0],
            "tower_channels": [
                source.shape(f"conv_tower.{block}.0.2.weight", 3)[0]
                for block in range(source.count("conv_tower"))
            ],
            "window_bins": known.window_bins,
            "crop_bins": (known.window_bins - known.target_length) // 2,
        }

    def read_trunk(self, source: StateDict, architecture: EnformerConfig) -> Arrays:
        parts = {
            "stem": _read_pooling_block(source, "stem", read_convolution(source, "stem.0")),
            "final": _read_conv_block(source, "final_pointwise.1"),
        }
        for block in range(len(architecture.tower_channels)):
            name = f"conv_tower.{block}"
            parts[f"tower.{block}"] = _read_pooling_block(source, name, _read_conv_block(source, f"{name}.0"))
        for layer in range(architecture.transformer_layers):
            parts[f"transformer.{layer}"] = read_transformer_layer(source, f"transformer.{layer}")
        return within(parts)


def _read_pooling_block(source: StateDict, name: str, convolution: Arrays) -> Arrays:
    """Read what follows the convolution: a block, and logits that are a convolution over two axes of width 1."""
    logits = source.take(f"{name}.2.to_attn_logits.weight", 4)[:, :, 0, 0]
    return within(
        {
            "conv": convolution,
            "pointwise": _read_conv_block(source, f"{name}.1.fn"),
            "pool": {"logits.kernel": np.ascontiguousarray(logits.T)},
        }
    )


def _read_conv_block(source: StateDict, name: str) -> Arrays:
    norm = read_batch_norm(source, f"{name}.0", epsilon=_BATCH_NORM_EPSILON)
    return within({"norm": norm, "conv": read_convolution(source, f"{name}.2")})


FAMILY = EnformerFamily()
