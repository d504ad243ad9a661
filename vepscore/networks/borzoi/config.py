"""The architecture as data. `BorzoiConfig()` with its defaults is the published network.

Source: calico/borzoi, `examples/params_pred.json`; johahi/borzoi-pytorch, `pytorch_borzoi_model.py:Borzoi`.
"""

import dataclasses
from typing import Annotated

from vepscore.outputs import Output
from vepscore.schema import CLOSED, Whole, field_error

TOWER_BLOCKS = 6  # convolutions at 2, 4, 8, 16, 32 and 64 bp
TRUNK_BIN_BP = 128  # bins of the transformer
BIN_BP = 32  # bins of the predictions

# Channels of the heads. The published tables have 7,611 human and 2,608 mouse tracks; a head has as many channels as
# the organism with more tracks.
BORZOI_HEADS: dict[Output, int] = {
    Output.ATAC: 287,
    Output.DNASE: 674,
    Output.CAGE: 1276,
    Output.RNA_SEQ: 1543,
    Output.CHIP_TF: 1885,
    Output.CHIP_HISTONE: 2001,
}

# Limits far above any network, so that a damaged file cannot request huge arrays.
_Size = Annotated[int, Whole(1, 1 << 16)]
_Layers = Annotated[int, Whole(1, 256)]
_TrunkBins = Annotated[int, Whole(2, 1 << 13)]
_Crop = Annotated[int, Whole(0, 1 << 14)]
_PositionFeatures = Annotated[int, Whole(2, 1 << 13, step=2)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BorzoiConfig:
    """The sizes of one network of the family."""

    __pydantic_config__ = CLOSED

    stem_channels: _Size = 512  # at 1 bp, and at 2 bp after pooling
    # After the convolutions at 2, 4, 8, 16, 32 and 64 bp, each followed by pooling; the last one is the trunk's.
    tower_channels: tuple[_Size, ...] = (608, 736, 896, 1056, 1280, 1536)
    transformer_layers: _Layers = 8
    attention_heads: _Size = 8
    key_channels: _Size = 64  # per head
    value_channels: _Size = 192  # per head
    position_features: _PositionFeatures = 32  # central masks of the distance, each with and without its sign
    window_trunk_bins: _TrunkBins = 4096  # of the window of training, on which the widths of the masks depend
    crop_bins: _Crop = 5120  # bins of 32 bp at each end for which nothing is predicted
    embedding_channels: _Size = 1920  # from which the heads predict
    organisms: _Size = 2  # rows of every organism-specific parameter
    heads: dict[Output, _Size] = dataclasses.field(default_factory=lambda: dict(BORZOI_HEADS))

    def __post_init__(self) -> None:
        if len(self.tower_channels) != TOWER_BLOCKS:
            raise field_error("tower_channels", self.tower_channels, f"{TOWER_BLOCKS} numbers")
        if 2 * self.margin_bp >= self.window_bp:
            most = (self.window_bp // BIN_BP - 1) // 2
            raise field_error("crop_bins", self.crop_bins, f"at most {most}, so that bins are left")

    @property
    def trunk_channels(self) -> int:
        """Return the channels at 128 bp, and at 32 bp before the last block."""
        return self.tower_channels[-1]

    @property
    def window_bp(self) -> int:
        """Return the width of the window of training, the largest one that the network reads."""
        return self.window_trunk_bins * TRUNK_BIN_BP

    @property
    def margin_bp(self) -> int:
        """Return the bp at each end of a window for which nothing is predicted."""
        return self.crop_bins * BIN_BP
