"""The encoder and the decoder on tiles: runs of consecutive 128 bp bins of a window.

Both consist of convolutions with pointwise norms, so their output for a tile depends only on the tile and a margin on
either side. Each convolution reads only what it needs. Positions outside the window are set to zero before each one,
like the padding of the whole window, so that a tile's output equals that of the whole window.

Level 0 has positions of 1 bp, level 6 of 64 bp, and level 7 is the trunk. A block holds the positions of a skip, or of
the decoded sequence, that are in one 128 bp bin: 128 >> level.
Axes: batch of tiles; bins of a tile; positions of a tile and its margins.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from vepscore.model.network import one_hot
from vepscore.networks.alphagenome.config import POOLINGS, TRUNK_BIN_BP
from vepscore.networks.alphagenome.decoder import SequenceDecoder, UpResBlock
from vepscore.networks.alphagenome.encoder import DnaEmbedder, DownResBlock, SequenceEncoder
from vepscore.networks.alphagenome.layers import ConvBlock, convolve, max_pool

_REACH = 2  # positions that a convolution of width 5 reads on either side
_DNA_REACH = 7  # positions that the first convolution, of width 15, reads on either side
SKIP_POSITIONS = [TRUNK_BIN_BP >> level for level in range(POOLINGS)]  # positions of a block, by level


def encoder_margin_bp(local_layers: int) -> int:
    """Return the number of bases that the encoder reads on either side of a tile."""
    margin = 0
    for _ in range(POOLINGS - 1):
        margin = 2 * (margin + 2 * _REACH)
    return margin + sum(_REACH << layer for layer in range(local_layers)) + _REACH + _DNA_REACH


def _decoder_margins() -> list[int]:
    """Return by level the number of positions on either side of a tile on which its decoded sequence depends."""
    margins = [0]
    for _ in range(POOLINGS):
        margins.append(_halved_up(margins[-1] + _REACH) + _REACH)
    return margins


def _halved_up(count: int) -> int:
    return -(-count // 2)


_DECODER_MARGINS = _decoder_margins()
TRUNK_MARGIN_BINS = _DECODER_MARGINS[POOLINGS]  # bins of the trunk that the decoder reads on either side
_SKIP_MARGINS = [margin + _REACH for margin in _DECODER_MARGINS[:POOLINGS]]
# Blocks of the skip that the decoder reads on either side, by level.
SKIP_MARGIN_BINS = [
    -(-margin // positions) for margin, positions in zip(_SKIP_MARGINS, SKIP_POSITIONS, strict=True)
]


def encode_tiles(
    encoder: SequenceEncoder,
    codes: UInt8[Array | np.ndarray, "batch bp"],
    first_bins: Int[Array | np.ndarray, " batch"],
    *,
    window_bins: int,
) -> tuple[Float[Array, "batch bins channels"], list[Float[Array, "batch bins _ _"]]]:
    """Encode tiles as `SequenceEncoder` encodes the whole window.

    Args:
        encoder: provides the convolutions.
        codes: bases of the tiles and of `encoder_margin_bp` on either side; N outside the window.
        first_bins: the first bin of each tile, counted from the window's start.
        window_bins: number of bins of the window.

    Returns:
        The trunk, and the blocks of the skips by level.
    """
    margin_bp = encoder_margin_bp(len(encoder.embedder.local))
    bins = (codes.shape[1] - 2 * margin_bp) // TRUNK_BIN_BP
    tiles = _Tiles(first_bins, bins, window_bins)
    x = _embed_dna(encoder.embedder, codes, tiles)
    skips = [tiles.blocks(x, level=0)]
    for level, block in enumerate(encoder.down, start=1):
        x = _halve_resolution(block, max_pool(x), tiles, level=level)
        skips.append(tiles.blocks(x, level=level))
    return max_pool(x), skips


def decode_tiles(
    decoder: SequenceDecoder,
    trunk: Float[Array, "batch bins_and_margins trunk_channels"],
    skips: Sequence[Float[Array, "batch _ _ _"]],
    first_bins: Int[Array | np.ndarray, " batch"],
    *,
    window_bins: int,
) -> Float[Array, "batch bins 128 channels"]:
    """Decode tiles as `SequenceDecoder` decodes the whole window.

    Args:
        decoder: provides the convolutions.
        trunk: after the tower, with `TRUNK_MARGIN_BINS` on either side; any values outside the window.
        skips: projected blocks by level, with `SKIP_MARGIN_BINS` of the level on either side; any values outside the
            window.
        first_bins: the first bin of each tile, counted from the window's start.
        window_bins: number of bins of the window.

    Returns:
        The blocks of the decoded sequence.
    """
    tiles = _Tiles(first_bins, trunk.shape[1] - 2 * TRUNK_MARGIN_BINS, window_bins)
    x = trunk
    for level, block in zip(reversed(range(POOLINGS)), decoder.up, strict=True):
        skip = skips[level].reshape(trunk.shape[0], -1, skips[level].shape[-1])
        skip = _cut(skip, SKIP_MARGIN_BINS[level] * SKIP_POSITIONS[level] - _SKIP_MARGINS[level])
        x = _double_resolution(block, x, skip, tiles, level=level)
    return tiles.blocks(x, level=0)


def project_skip(
    decoder: SequenceDecoder, skip: Float[Array, "*batch channels"], *, level: int
) -> Float[Array, "*batch channels"]:
    """Project the skip of a level as the decoder does before adding it."""
    return decoder.up[POOLINGS - 1 - level].skip(skip)


class _Tiles:
    """The positions of tiles, to find which of the positions that they read are in the window."""

    def __init__(self, first_bins: Int[Array | np.ndarray, " batch"], bins: int, window_bins: int) -> None:
        self._first_bins = first_bins
        self._bins = bins
        self._window_bins = window_bins

    def convolve(
        self, block: ConvBlock, x: Float[Array, "batch positions in_channels"], *, level: int
    ) -> Float[Array, "batch out_positions out_channels"]:
        """Apply a block without padding, after setting positions outside the window to zero."""
        scale = POOLINGS - level
        margin = (x.shape[1] - (self._bins << scale)) // 2
        position = (self._first_bins << scale)[:, None] - margin + jnp.arange(x.shape[1])
        inside = (position >= 0) & (position < self._window_bins << scale)
        return block.conv(jnp.where(inside[..., None], block.activate(x), 0), padding="VALID")

    def blocks(
        self, x: Float[Array, "batch positions channels"], *, level: int
    ) -> Float[Array, "batch bins 128//2**{level} channels"]:
        """Cut off the margins and split the tiles into blocks."""
        positions = self._bins * SKIP_POSITIONS[level]
        x = _cut(x, (x.shape[1] - positions) // 2)
        return x.reshape(x.shape[0], self._bins, -1, x.shape[-1])


def _embed_dna(
    embedder: DnaEmbedder, codes: UInt8[Array | np.ndarray, "batch bp"], tiles: _Tiles
) -> Float[Array, "batch positions channels"]:
    kernel, bias = embedder.conv.kernel[...], embedder.conv.bias
    assert bias is not None
    x = convolve(one_hot(codes, kernel.dtype), kernel, padding="VALID") + bias[...]
    for block in (embedder.block, *embedder.local):
        convolved = tiles.convolve(block, x, level=0)
        x = _cut(x, (x.shape[1] - convolved.shape[1]) // 2) + convolved
    return x


def _halve_resolution(
    block: DownResBlock, x: Float[Array, "batch positions channels"], tiles: _Tiles, *, level: int
) -> Float[Array, "batch out_positions out_channels"]:
    residual = jnp.pad(_cut(x, _REACH), ((0, 0), (0, 0), (0, block.added_channels)))
    x = tiles.convolve(block.first, x, level=level) + residual
    return _cut(x, _REACH) + tiles.convolve(block.second, x, level=level)


def _double_resolution(
    block: UpResBlock,
    x: Float[Array, "batch positions channels"],
    skip: Float[Array, "batch skip_positions skip_channels"],
    tiles: _Tiles,
    *,
    level: int,
) -> Float[Array, "batch out_positions skip_channels"]:
    x = tiles.convolve(block.conv_in, x, level=level + 1) + _cut(x, _REACH)[:, :, : skip.shape[-1]]
    x = jnp.repeat(x, 2, axis=1) * block.residual_scale[...]
    x = _cut(x, (x.shape[1] - skip.shape[1]) // 2) + skip
    return _cut(x, _REACH) + tiles.convolve(block.conv_out, x, level=level)


def _cut(
    x: Float[Array, "batch positions channels"], count: int
) -> Float[Array, "batch positions-2*{count} channels"]:
    """Remove `count` positions at either end."""
    return x[:, count : x.shape[1] - count]
