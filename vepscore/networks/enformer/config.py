"""The architecture as data. `EnformerConfig()` with its defaults is the published network.

Source: google-deepmind/deepmind-research, `enformer/enformer.py:Enformer`.
"""

import dataclasses
from typing import Annotated

from pydantic import Field

from vepscore.outputs import Output
from vepscore.schema import CLOSED, Whole, field_error

# Channels of the heads. The tracks of the published tables are 5,313 human and 1,643 mouse ones; a head has as many
# channels as the organism with more tracks.
ENFORMER_HEADS: dict[Output, int] = {
    Output.DNASE: 674,
    Output.ATAC: 127,
    Output.CHIP_TF: 1990,
    Output.CHIP_HISTONE: 2001,
    Output.CAGE: 638,
}

POSITION_KINDS = 6  # exponential, central mask and gamma, each with and without the sign of the distance

# Limits far above any network, so that a damaged file cannot request huge arrays.
_Size = Annotated[int, Whole(1, 1 << 16)]
_Layers = Annotated[int, Whole(1, 256)]
_Bins = Annotated[int, Whole(2, 1 << 13)]
_Crop = Annotated[int, Whole(0, 1 << 12)]
_PositionFeatures = Annotated[int, Whole(POSITION_KINDS, 1 << 13, step=POSITION_KINDS)]
_TowerChannels = Annotated[tuple[_Size, ...], Field(min_length=1, max_length=12)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnformerConfig:
    """The sizes of one network of the family."""

    __pydantic_config__ = CLOSED

    stem_channels: _Size = 768  # at 1 bp, and at 2 bp after the stem's pooling
    # After each block of the convolutional tower, each of which halves the resolution; the last one is the trunk's.
    tower_channels: _TowerChannels = (768, 896, 1024, 1152, 1280, 1536)
    transformer_layers: _Layers = 11
    attention_heads: _Size = 8
    key_channels: _Size = 64  # per head
    value_channels: _Size = 192  # per head
    position_features: _PositionFeatures = 192
    window_bins: _Bins = 1536  # bins of the largest window, which sets the scale of the position features
    crop_bins: _Crop = 320  # bins at each end of a window for which nothing is predicted
    organisms: _Size = 2  # rows of every organism-specific parameter
    heads: dict[Output, _Size] = dataclasses.field(default_factory=lambda: dict(ENFORMER_HEADS))

    def __post_init__(self) -> None:
        if self.window_bins <= 2 * self.crop_bins:
            raise field_error(
                "window_bins", self.window_bins, f"more than 2·{self.crop_bins}, the cropped bins"
            )

    @property
    def trunk_channels(self) -> int:
        """Return the channels of the transformer."""
        return self.tower_channels[-1]

    @property
    def embedding_channels(self) -> int:
        """Return the channels that the heads read."""
        return 2 * self.trunk_channels

    @property
    def bin_bp(self) -> int:
        """Return the width of a bin in bp: the stem and each block of the tower halve the resolution."""
        return 2 ** (1 + len(self.tower_channels))

    @property
    def window_bp(self) -> int:
        """Return the width of the largest window in bp, that of the published network."""
        return self.window_bins * self.bin_bp

    @property
    def margin_bp(self) -> int:
        """Return the bp at each end of a window for which nothing is predicted."""
        return self.crop_bins * self.bin_bp
