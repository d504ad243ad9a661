"""The encoder and the decoder on tiles: a stretch of a window without the rest of it.

Both are convolutions whose norms are pointwise, so what they give for a stretch hangs on that stretch and a little
around it. Here each convolution takes only what it needs; what lies outside of the window is zero before each one,
as the padding of the whole window is. So a tile's numbers are those of the whole window.

A block is what a skip, or the decoded sequence, holds of one bin of 128 bp: 128 >> level positions.
Axes: B tiles, T bins of a tile, N bins of the window, W positions of a tile and its surroundings, C channels. Level 0
has bins of 1 bp, level 6 of 64 bp, level 7 is the trunk.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from vepscore.model.config import POOLINGS, TRUNK_BIN_BP
from vepscore.model.decoder import SequenceDecoder, UpResBlock
from vepscore.model.encoder import DnaEmbedder, DownResBlock, SequenceEncoder
from vepscore.model.layers import ConvBlock, convolve, max_pool
from vepscore.model.network import one_hot

_REACH = 2  # positions that a convolution of width 5 reads to either side
_DNA_REACH = 7  # and the first one, of width 15
SKIP_POSITIONS = [TRUNK_BIN_BP >> level for level in range(POOLINGS)]  # of a block, by level


def encoder_margin_bp(local_layers: int) -> int:
    """Bases that a tile of the encoder reads beyond it, to either side."""
    margin = 0
    for _ in range(POOLINGS - 1):
        margin = 2 * (margin + 2 * _REACH)
    return margin + sum(_REACH << layer for layer in range(local_layers)) + _REACH + _DNA_REACH


def _decoder_margins() -> list[int]:
    """Positions of each level that the decoder's result for a tile hangs on, beyond it, to either side."""
    margins = [0]
    for _ in range(POOLINGS):
        margins.append(_halved_up(margins[-1] + _REACH) + _REACH)
    return margins


def _halved_up(count: int) -> int:
    return -(-count // 2)


_DECODER_MARGINS = _decoder_margins()
TRUNK_MARGIN_BINS = _DECODER_MARGINS[POOLINGS]  # bins that a tile of the decoder reads beyond it
_SKIP_MARGINS = [margin + _REACH for margin in _DECODER_MARGINS[:POOLINGS]]
# Blocks of each level's skip that it reads beyond it.
SKIP_MARGIN_BINS = [
    -(-margin // positions) for margin, positions in zip(_SKIP_MARGINS, SKIP_POSITIONS, strict=True)
]


def encode_tiles(
    encoder: SequenceEncoder, codes: jax.Array, first_bins: jax.Array, *, window_bins: int
) -> tuple[jax.Array, list[jax.Array]]:
    """The trunk and the skips of tiles, as `SequenceEncoder` gives them for the whole window.

    Args:
        encoder: its convolutions.
        codes: uint8 (B, 128 T + 2 margins), the tiles' bases with `encoder_margin_bp` to either side; N outside of
            the window.
        first_bins: int32 (B,), where in the window the tiles begin.
        window_bins: N.

    Returns:
        (B, T, C), and by level the blocks (B, T, 128 >> level, C).
    """
    margin_bp = encoder_margin_bp(len(encoder.embedder.local))
    bins = (codes.shape[1] - 2 * margin_bp) // TRUNK_BIN_BP
    tiles = _Tiles(first_bins, bins, window_bins)
    x = _embed_dna(encoder.embedder, codes, tiles)
    skips = [tiles.blocks(x, level=0)]
    for level, block in enumerate(encoder.down, start=1):
        x = _go_down(block, max_pool(x), tiles, level=level)
        skips.append(tiles.blocks(x, level=level))
    return max_pool(x), skips


def decode_tiles(
    decoder: SequenceDecoder,
    trunk: jax.Array,
    skips: Sequence[jax.Array],
    first_bins: jax.Array,
    *,
    window_bins: int,
) -> jax.Array:
    """The decoded sequence of tiles, as `SequenceDecoder` gives it for the whole window.

    Args:
        decoder: its convolutions.
        trunk: (B, T + 2 TRUNK_MARGIN_BINS, C), after the tower; anything outside of the window.
        skips: by level, projected blocks (B, T + 2 SKIP_MARGIN_BINS[level], 128 >> level, C); anything outside of
            the window.
        first_bins: int32 (B,), where in the window the tiles begin.
        window_bins: N.

    Returns:
        blocks (B, T, 128, C).
    """
    tiles = _Tiles(first_bins, trunk.shape[1] - 2 * TRUNK_MARGIN_BINS, window_bins)
    x = trunk
    for level, block in zip(reversed(range(POOLINGS)), decoder.up, strict=True):
        skip = skips[level].reshape(trunk.shape[0], -1, skips[level].shape[-1])
        skip = _cut(skip, SKIP_MARGIN_BINS[level] * SKIP_POSITIONS[level] - _SKIP_MARGINS[level])
        x = _go_up(block, x, skip, tiles, level=level)
    return tiles.blocks(x, level=0)


def project_skip(decoder: SequenceDecoder, skip: jax.Array, *, level: int) -> jax.Array:
    """What the decoder adds of a level's skip: (…, C) → (…, C)."""
    return decoder.up[POOLINGS - 1 - level].skip(skip)


class _Tiles:
    """Where tiles lie, to tell what of them and their surroundings is in the window."""

    def __init__(self, first_bins: jax.Array, bins: int, window_bins: int) -> None:
        self._first_bins = first_bins
        self._bins = bins
        self._window_bins = window_bins

    def convolve(self, block: ConvBlock, x: jax.Array, *, level: int) -> jax.Array:
        """(B, W, C in) → (B, W - 4 · dilation, C out)."""
        scale = POOLINGS - level
        margin = (x.shape[1] - (self._bins << scale)) // 2
        position = (self._first_bins << scale)[:, None] - margin + jnp.arange(x.shape[1])
        inside = (position >= 0) & (position < self._window_bins << scale)
        return block.conv(jnp.where(inside[..., None], block.activate(x), 0), padding="VALID")

    def blocks(self, x: jax.Array, *, level: int) -> jax.Array:
        """(B, W, C), margins cut off → (B, T, 128 >> level, C)."""
        positions = self._bins * SKIP_POSITIONS[level]
        x = _cut(x, (x.shape[1] - positions) // 2)
        return x.reshape(x.shape[0], self._bins, -1, x.shape[-1])


def _embed_dna(embedder: DnaEmbedder, codes: jax.Array, tiles: _Tiles) -> jax.Array:
    kernel, bias = embedder.conv.kernel[...], embedder.conv.bias[...]
    x = convolve(one_hot(codes, kernel.dtype), kernel, padding="VALID") + bias
    for block in (embedder.block, *embedder.local):
        convolved = tiles.convolve(block, x, level=0)
        x = _cut(x, (x.shape[1] - convolved.shape[1]) // 2) + convolved
    return x


def _go_down(block: DownResBlock, x: jax.Array, tiles: _Tiles, *, level: int) -> jax.Array:
    residual = jnp.pad(_cut(x, _REACH), ((0, 0), (0, 0), (0, block.added_channels)))
    x = tiles.convolve(block.first, x, level=level) + residual
    return _cut(x, _REACH) + tiles.convolve(block.second, x, level=level)


def _go_up(block: UpResBlock, x: jax.Array, skip: jax.Array, tiles: _Tiles, *, level: int) -> jax.Array:
    x = tiles.convolve(block.conv_in, x, level=level + 1) + _cut(x, _REACH)[:, :, : skip.shape[-1]]
    x = jnp.repeat(x, 2, axis=1) * block.residual_scale[...]
    x = _cut(x, (x.shape[1] - skip.shape[1]) // 2) + skip
    return _cut(x, _REACH) + tiles.convolve(block.conv_out, x, level=level)


def _cut(x: jax.Array, count: int) -> jax.Array:
    """Without `count` positions at either end: (B, W, C) → (B, W - 2 count, C)."""
    return x[:, count : x.shape[1] - count]
