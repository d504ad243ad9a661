"""The architecture of compact networks as data: a stack of convolutions for splicing, an AlphaGenome for the rest."""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Annotated

from vepscore.networks.alphagenome.config import Fraction, ModelConfig, Size
from vepscore.networks.dilated_blocks import BLOCKS, Dilation, Width, blocks_reach_bp, check_blocks
from vepscore.outputs import SPLICE_CLASSES, Output
from vepscore.schema import CLOSED, Whole, field_error

BASES = 4
STRANDS = 2
SPLICING = frozenset({Output.SPLICE_SITES, Output.SPLICE_SITE_USAGE, Output.SPLICE_JUNCTIONS})

_One = Annotated[int, Whole(1, 1)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpliceStackConfig:
    """The sizes of the stack: a convolution, then residual blocks of two dilated convolutions each.

    The consecutive blocks of one dilation are a group.
    """

    __pydantic_config__ = CLOSED

    channels: Size = 32  # of each strand
    widths: Annotated[tuple[Width, ...], BLOCKS] = (9,) * 17  # of each block's convolutions; odd
    # Of each block's convolutions.
    dilations: Annotated[tuple[Dilation, ...], BLOCKS] = (
        *(1,) * 4,
        *(4,) * 4,
        *(16,) * 4,
        *(64,) * 3,
        *(128,) * 2,
    )
    stem_width: Width = 9  # of the first convolution; odd
    tissues: Size = 1  # of SPLICE_JUNCTIONS, each on two strands
    max_splice_sites: Size = 512  # junction sites kept per class
    splice_site_threshold: Fraction = 0.1  # probability below which a position is no junction site

    def __post_init__(self) -> None:
        check_blocks(self.widths, self.dilations)
        if self.stem_width % 2 == 0:
            raise field_error("stem_width", self.stem_width, "an odd number")

    @property
    def reach_bp(self) -> int:
        """Return how many bases on either side of a position affect its predictions."""
        return self.stem_width // 2 + blocks_reach_bp(self.widths, self.dilations)

    @property
    def groups(self) -> int:
        """Return the number of groups: consecutive blocks of one dilation."""
        return len(list(itertools.groupby(self.dilations)))

    @property
    def heads(self) -> Mapping[Output, int]:
        """Return the channels of each output; each strand has its own donor, acceptor and usage."""
        return {
            Output.SPLICE_SITES: len(SPLICE_CLASSES),
            Output.SPLICE_SITE_USAGE: STRANDS,
            Output.SPLICE_JUNCTIONS: self.tissues,
        }


def _default_tracks() -> ModelConfig:
    return ModelConfig(
        channels=32,
        channel_step=8,
        organisms=1,
        tower_layers=2,
        attention_heads=2,
        key_channels=32,
        value_channels=48,
        pair_channels=16,
        pair_heads=4,
        pair_key_channels=16,
        position_features=16,
        junction_channels=32,
        heads={Output.CAGE: 24, Output.DNASE: 10, Output.RNA_SEQ: 40, Output.CONTACT_MAPS: 1},
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompactConfig:
    """The sizes of both parts."""

    __pydantic_config__ = CLOSED

    organisms: _One = 1  # no parameter of the stack depends on the organism
    splicing: SpliceStackConfig = dataclasses.field(default_factory=SpliceStackConfig)
    tracks: ModelConfig = dataclasses.field(default_factory=_default_tracks)  # without heads: splicing alone

    def __post_init__(self) -> None:
        if self.tracks.organisms != self.organisms:
            raise field_error("tracks.organisms", self.tracks.organisms, f"{self.organisms}")
        if of_stack := sorted(SPLICING & self.tracks.heads.keys()):
            raise field_error("tracks.heads", of_stack[0], "no splicing outputs, which the stack predicts")

    @property
    def heads(self) -> Mapping[Output, int]:
        """Return the channels of the head of each output, with padding."""
        return {**self.splicing.heads, **self.tracks.heads}
