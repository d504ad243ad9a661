"""The architectures of the SpliceAI and Pangolin families as data.

Both are ensembles of one trunk: a convolution of width 1, residual blocks of two dilated convolutions, and skips that
are added after every fourth block. They differ in their heads.
Source: Jaganathan et al. 2019 (SpliceAI-10k), github Illumina/SpliceAI: `spliceai/models`; Zeng & Li 2022,
github tkzeng/Pangolin: `pangolin/model.py`.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

from vepscore.networks.dilated_blocks import BLOCKS, Dilation, Width, blocks_reach_bp, check_blocks
from vepscore.outputs import SPLICE_CLASSES, Output
from vepscore.schema import CLOSED, Number, Whole, field_error

# Widths and dilations of the published blocks. OpenSpliceAI's smaller networks have the first 4, 8 or 12.
WIDTHS = (11,) * 8 + (21,) * 4 + (41,) * 4
DILATIONS = (1,) * 4 + (4,) * 4 + (10,) * 4 + (25,) * 4
BLOCKS_PER_SKIP = 4
BASES = 4
STRANDS = "+-"

# Limits far above any network, so that a damaged file cannot request huge arrays.
_Channels = Annotated[int, Whole(1, 1 << 12)]
_Networks = Annotated[int, Whole(1, 64)]
_Slope = Annotated[float, Number(least=0, most=1)]
_One = Annotated[int, Whole(1, 1)]


class Layer(NamedTuple):
    """A convolution of a residual block.

    Attributes:
        block: index of its block.
        number: 1 or 2, in its block.
        dilation: positions between its taps.
        margin_bp: positions on either side of its output that it reads.
        reach_bp: bases on either side of a position that its output depends on.
        after_bp: how far from the predicted positions its output is read.
    """

    block: int
    number: int
    dilation: int
    margin_bp: int
    reach_bp: int
    after_bp: int

    @property
    def ends_group(self) -> bool:
        """Return whether its output is added to the embedding, by a skip."""
        return self.number == 2 and (self.block + 1) % BLOCKS_PER_SKIP == 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class DilatedConfig:
    """The sizes of the trunk."""

    __pydantic_config__ = CLOSED

    channels: _Channels = 32
    widths: Annotated[tuple[Width, ...], BLOCKS] = WIDTHS  # of each block's convolutions; odd
    dilations: Annotated[tuple[Dilation, ...], BLOCKS] = DILATIONS  # of each block's convolutions
    negative_slope: _Slope = 0.0  # of the rectifiers below zero; 0.1 in OpenSpliceAI
    organisms: _One = 1  # no parameter depends on the organism

    def __post_init__(self) -> None:
        check_blocks(self.widths, self.dilations)
        if len(self.widths) % BLOCKS_PER_SKIP:
            raise field_error("widths", len(self.widths), f"a multiple of {BLOCKS_PER_SKIP} blocks")

    @property
    def networks(self) -> int:
        """Return the number of networks in the ensemble."""
        raise NotImplementedError

    @property
    def blocks(self) -> int:
        """Return the number of residual blocks."""
        return len(self.widths)

    @functools.cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Return the convolutions of the blocks, in order."""
        layers, reach_bp = [], 0
        for block, (width, dilation) in enumerate(zip(self.widths, self.dilations, strict=True)):
            margin_bp = (width - 1) // 2 * dilation
            for number in (1, 2):
                reach_bp += margin_bp
                layers.append(Layer(block, number, dilation, margin_bp, reach_bp, self.margin_bp - reach_bp))
        return tuple(layers)

    @property
    def margin_bp(self) -> int:
        """Return how many bases on either side of a position affect its prediction: 5,000 if published."""
        return blocks_reach_bp(self.widths, self.dilations)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpliceAIConfig(DilatedConfig):
    """The sizes of an ensemble that classifies positions: no site, acceptor, donor."""

    __pydantic_config__ = CLOSED

    replicates: _Networks = 5  # networks, whose probabilities are averaged
    # The program by whose rules its delta scores are made; None: it is scored as other networks are.
    program: Literal["spliceai", "cispliceai"] | None = "spliceai"

    @property
    def networks(self) -> int:
        return self.replicates

    @property
    def heads(self) -> Mapping[Output, int]:
        """Return the number of tracks of each output."""
        return {Output.SPLICE_SITES: len(SPLICE_CLASSES)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class PangolinConfig(DilatedConfig):
    """The sizes of an ensemble that predicts splice sites of either kind, by tissue.

    Its networks are in the order of quantities (splice site, usage), tissues, replicates.
    """

    __pydantic_config__ = CLOSED

    tissues: _Networks = 4
    replicates: _Networks = 3  # networks of each quantity and tissue, which are averaged
    quantities: Annotated[int, Whole(1, 2)] = 1  # 1: probability of a splice site; 2: its usage too

    @property
    def networks(self) -> int:
        return self.quantities * self.tissues * self.replicates

    @property
    def heads(self) -> Mapping[Output, int]:
        """Return the number of tracks of each output."""
        return {Output.SPLICE_SITE_USAGE: len(STRANDS) * self.quantities * self.tissues}
