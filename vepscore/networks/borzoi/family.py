"""The Borzoi family, and its published weights as `borzoi-pytorch` names them.

Names in the state dict count the layers of `torch.nn.Sequential`, those without parameters too:

    conv_dna.conv_layer         convolution at 1 bp
    res_tower.0, 2, 4, 6, 8     blocks at 2 to 32 bp
    unet1.1                     block at 64 bp
    transformer.N               0.fn.0 norm, 0.fn.1 attention; 1.fn.0 norm, 1.fn.1 and 1.fn.4 linear layers
    upsampling_unet1.0          block at 128 bp; horizontal_conv1 at 64 bp; separable1 after their sum
    upsampling_unet0.0          block at 64 bp; horizontal_conv0 at 32 bp; separable0 after their sum
    final_joined_convs.0        block at 32 bp
    human_head, mouse_head      linear layers; a file may lack either
    block                       norm, a batch norm; conv_layer
    separable                   conv_layer.0 within channels, conv_layer.1 pointwise

Source: johahi/borzoi-pytorch 0.5.1, `borzoi_pytorch/pytorch_borzoi_model.py:Borzoi`.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from flax import nnx
from jaxtyping import Float32

from vepscore.model.family import Context
from vepscore.networks.borzoi.config import BIN_BP, TRUNK_BIN_BP, BorzoiConfig
from vepscore.networks.borzoi.network import Borzoi
from vepscore.networks.state_dict import StateDict
from vepscore.networks.state_dict_family import StateDictFamily
from vepscore.networks.state_layers import (
    Arrays,
    infer_transformer_sizes,
    read_batch_norm,
    read_convolution,
    read_transformer_layer,
    within,
)
from vepscore.networks.targets import Targets
from vepscore.outputs import Output
from vepscore.schema import Whole, field_error, parse

_TOWER = ("res_tower.0", "res_tower.2", "res_tower.4", "res_tower.6", "res_tower.8", "unet1.1")
_BATCH_NORM_EPSILON = 1e-3
_BINS = BorzoiConfig().window_bp // BIN_BP
_PUBLISHED_CROP = (
    16  # unless only bins in the center are returned, as in calico/borzoi, `examples/params_pred.json`
)
_ROOT = "_sqrt"  # in the name of a statistic


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Settings:
    """Fields of the `config.json` that borzoi-pytorch writes, with its default values."""

    return_center_bins_only: bool = True
    bins_to_return: Annotated[int, Whole(1, _BINS)] = 6144


class BorzoiFamily(StateDictFamily[BorzoiConfig]):
    """Networks of the Borzoi architecture, of any size."""

    name = "borzoi"
    architecture = BorzoiConfig
    license = "Apache-2.0"
    citation = "Linder et al., Nature Genetics 2025, doi:10.1038/s41588-024-02053-6"
    default_scorers = (
        *(Output.RNA_SEQ, Output.CAGE, Output.DNASE, Output.ATAC, Output.CHIP_TF, Output.CHIP_HISTONE),
        *("SED", "LOG_SED", "SED_D2", "SED_LOG_D2"),
    )
    state_hint = (
        "pass a state dict of borzoi_pytorch.Borzoi (not of Flashzoi), such as johahi/borzoi-replicate-0"
    )
    targets_hint = (
        "pass --metadata human:targets_human.txt, from calico/borzoi; and mouse:FILE for mouse tracks"
    )
    target_fields = ("clip_soft", "scale", "sum_stat", "strand_pair")
    head_name = "{}_head"
    read_head = staticmethod(read_convolution)

    def create(self, architecture: BorzoiConfig, rngs: nnx.Rngs) -> Borzoi:
        return Borzoi(architecture, rngs=rngs)

    def context(self, architecture: BorzoiConfig) -> Context:
        return Context(
            least_bp=2 * architecture.margin_bp + TRUNK_BIN_BP,
            most_bp=architecture.window_bp,
            step_bp=TRUNK_BIN_BP,
            margin_bp=architecture.margin_bp,
            align_bp=TRUNK_BIN_BP,
        )

    def resolution_bp(self, architecture: BorzoiConfig, output: Output) -> int:
        del architecture, output
        return BIN_BP

    def infer_sizes(self, source: StateDict, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the sizes that the shapes give, and the bins that are not predicted, which are a setting."""
        return infer_transformer_sizes(source) | {
            "stem_channels": source.shape("conv_dna.conv_layer.weight", 3)[0],
            "tower_channels": [source.shape(f"{name}.conv_layer.weight", 3)[0] for name in _TOWER],
            "embedding_channels": source.shape("final_joined_convs.0.conv_layer.weight", 3)[0],
            "crop_bins": _find_crop(settings),
        }

    def read_trunk(self, source: StateDict, architecture: BorzoiConfig) -> Arrays:
        parts = {
            "stem": read_convolution(source, "conv_dna.conv_layer"),
            "final": _read_block(source, "final_joined_convs.0"),
        }
        for block, name in enumerate(_TOWER):
            parts[f"tower.{block}"] = _read_block(source, name)
        for layer in range(architecture.transformer_layers):
            parts[f"transformer.{layer}"] = read_transformer_layer(source, f"transformer.{layer}")
        for ours, number in (("up_64bp", 1), ("up_32bp", 0)):
            parts[f"{ours}.coarse"] = _read_block(source, f"upsampling_unet{number}.0")
            parts[f"{ours}.skip"] = _read_block(source, f"horizontal_conv{number}")
            parts[f"{ours}.separable"] = _read_separable(source, f"separable{number}.conv_layer")
        return within(parts)

    def column_constants(self, targets: Targets) -> Mapping[str, Float32[np.ndarray, " columns"]]:
        """Return how targets were squashed; see `vepscore.networks.borzoi.heads`."""
        return {
            "scale": _positive_numbers(targets.rows, "scale"),
            "soft_clip": _positive_numbers(targets.rows, "clip_soft"),
            "is_root": np.array([_ROOT in row["sum_stat"] for row in targets.rows], np.float32),
        }


def _find_crop(settings: Mapping[str, Any]) -> int:
    """Return the bins at each end of a window that are not predicted."""
    names = (field.name for field in dataclasses.fields(_Settings))
    known = parse(_Settings, {name: settings[name] for name in names if name in settings})
    return (_BINS - known.bins_to_return) // 2 if known.return_center_bins_only else _PUBLISHED_CROP


def _read_block(source: StateDict, name: str) -> Arrays:
    return within(
        {
            "norm": read_batch_norm(source, f"{name}.norm", epsilon=_BATCH_NORM_EPSILON),
            "conv": read_convolution(source, f"{name}.conv_layer"),
        }
    )


def _read_separable(source: StateDict, name: str) -> Arrays:
    depthwise = source.take(f"{name}.0.weight", 3)[:, 0].T  # width × channels
    pointwise = within({"pointwise": read_convolution(source, f"{name}.1")})
    return {"depthwise": np.ascontiguousarray(depthwise)} | pointwise


def _positive_numbers(rows: Sequence[Mapping[str, str]], field: str) -> Float32[np.ndarray, " columns"]:
    """Return a field of all lines.

    Raises:
        ValueError: it is not a positive number in one of them.
    """
    numbers = np.empty(len(rows), np.float32)
    for column, row in enumerate(rows):
        try:
            numbers[column] = float(row[field])
        except ValueError:
            numbers[column] = math.nan
        if not 0 < numbers[column] < math.inf:
            raise field_error(f"line {column + 2}, {field}", row[field], "a number above 0")
    return numbers


FAMILY = BorzoiFamily()
