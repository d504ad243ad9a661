"""Sizes of residual blocks of two dilated convolutions each, which several families have."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from vepscore.schema import Whole, field_error

# Limits far above any network, so that a damaged file cannot request huge arrays.
Width = Annotated[int, Whole(1, 1 << 10)]
Dilation = Annotated[int, Whole(1, 1 << 12)]
BLOCKS = Field(min_length=1, max_length=256)


def check_blocks(widths: Sequence[int], dilations: Sequence[int]) -> None:
    """Check that there is a dilation for each width, and that widths are odd.

    Raises:
        ValueError: they are not.
    """
    if len(dilations) != len(widths):
        raise field_error("dilations", dilations, f"one for each of {len(widths)} widths")
    if not all(width % 2 for width in widths):
        raise field_error("widths", widths, "odd numbers")


def blocks_reach_bp(widths: Sequence[int], dilations: Sequence[int]) -> int:
    """Return how many positions on either side of one affect what the last block returns there."""
    return sum((width - 1) * dilation for width, dilation in zip(widths, dilations, strict=True))
