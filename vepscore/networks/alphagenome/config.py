"""The architecture as data: one family of networks, from the full AlphaGenome size down to a few megabytes.

`ModelConfig()` with its defaults is the full trunk; `ModelConfig.alphagenome()` adds all eleven heads.
Source: google-deepmind/alphagenome_research 0.2.0, `model/model.py` and `model/heads.py`.
"""

import dataclasses
from typing import Annotated

from vepscore.outputs import MAX_WINDOW_BP, PAIR_BIN_BP, Output
from vepscore.schema import CLOSED, Number, Whole

POOLINGS = 7  # the encoder halves the resolution seven times, from 1 bp to 128 bp
TRUNK_BIN_BP = 2**POOLINGS
MIN_WINDOW_BP = 1 << 14

# Outputs predicted as coverage tracks, with the resolutions (bp) at which a head predicts them.
TRACK_RESOLUTIONS_BP: dict[Output, tuple[int, ...]] = {
    Output.ATAC: (1, 128),
    Output.DNASE: (1, 128),
    Output.PROCAP: (1, 128),
    Output.CAGE: (1, 128),
    Output.RNA_SEQ: (1, 128),
    Output.CHIP_TF: (128,),
    Output.CHIP_HISTONE: (128,),
}

_SCORED_RESOLUTION_BP = {Output.CHIP_TF: 128, Output.CHIP_HISTONE: 128, Output.CONTACT_MAPS: PAIR_BIN_BP}

# Limits far above any network, so that a damaged file cannot request huge arrays.
Size = Annotated[int, Whole(1, 1 << 16)]
_Layers = Annotated[int, Whole(1, 256)]
_LocalLayers = Annotated[int, Whole(0, 6)]  # with more, a substitution would affect too many bins
_KeyChannels = Annotated[int, Whole(2, 1 << 13, step=2)]  # rotated in pairs
_PositionFeatures = Annotated[
    int, Whole(1, MAX_WINDOW_BP // PAIR_BIN_BP)
]  # features of distances in pair bins
Fraction = Annotated[float, Number(least=0, most=1)]

# Channels of the official heads, with padding; for SPLICE_JUNCTIONS the number of tissues, each on two strands.
ALPHAGENOME_HEADS: dict[Output, int] = {
    Output.ATAC: 256,
    Output.DNASE: 384,
    Output.PROCAP: 128,
    Output.CAGE: 640,
    Output.RNA_SEQ: 768,
    Output.CHIP_TF: 1664,
    Output.CHIP_HISTONE: 1152,
    Output.CONTACT_MAPS: 28,
    Output.SPLICE_SITES: 5,
    Output.SPLICE_SITE_USAGE: 734,
    Output.SPLICE_JUNCTIONS: 367,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The sizes of one network of the family."""

    __pydantic_config__ = CLOSED

    channels: Size = 768  # at 1 bp
    channel_step: Size = 128  # added by each of the six down-resolution blocks
    local_layers: _LocalLayers = 0  # convolutions at 1 bp, dilated 1, 2, 4 …; the official network has none
    organisms: Size = 2  # rows of every organism-specific parameter
    tower_layers: _Layers = 9  # attention + MLP; every second one updates the pair representation first
    attention_heads: Size = 8  # query heads; keys and values have one head
    key_channels: _KeyChannels = 128  # per query head, and of the one key head
    value_channels: Size = 192  # of the one value head
    pair_channels: Size = 128  # of the pair representation
    pair_heads: Size = 32  # heads of the sequence-to-pair block
    pair_key_channels: Size = 128  # per head of the sequence-to-pair block
    position_features: _PositionFeatures = 32  # central masks of the distance, each with and without sign
    junction_channels: Size = 768  # of a junction site's embedding
    max_splice_sites: Size = 512  # junction sites kept per class
    splice_site_threshold: Fraction = 0.1  # probability below which a position is no junction site
    heads: dict[Output, Size] = dataclasses.field(default_factory=dict)  # channels per head, padding included

    @classmethod
    def alphagenome(cls) -> "ModelConfig":
        """Return the published network: 450,452,613 parameters, human and mouse, all eleven heads."""
        return cls(heads=dict(ALPHAGENOME_HEADS))

    @property
    def trunk_channels(self) -> int:
        """Return the channels at 128 bp."""
        return self.channels + (POOLINGS - 1) * self.channel_step


def scored_resolution_bp(output: Output) -> int:
    """Return the width in bp of the bins in which variants are scored: 1, 128 or 2048."""
    return _SCORED_RESOLUTION_BP.get(output, 1)
