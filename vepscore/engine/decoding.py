"""The decoder on tiles: blocks of the decoded sequence of those bins of a window that scorers read.

Axes: N bins of 128 bp of the window, B tiles, T bins of a tile, K bins asked for, R rows of a store, C channels.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vepscore.engine.blocks import ABSENT, BlockStore, read_blocks
from vepscore.engine.encoding import BANDS, EncodedWindow
from vepscore.model.checkpoint import LOADED_ORGANISM
from vepscore.model.config import TRUNK_BIN_BP
from vepscore.model.network import AlphaGenome
from vepscore.model.tiles import SKIP_MARGIN_BINS, TRUNK_MARGIN_BINS, decode_tiles

_TILE_BINS = 4  # about an exon
_TILES_AT_A_TIME = 8
_SKIP_MARGIN = max(SKIP_MARGIN_BINS)
_FIRST_ROWS = 512


class WindowDecoder:
    """Decodes bins of windows, and keeps their blocks.

    A block is decoded with the tile that it lies in, on a grid from the window's start, so that it has the same bytes
    whatever else is decoded.

    Args:
        network: whose decoder it is.
        device: that has the network's parameters; None for JAX's default.
    """

    def __init__(self, network: AlphaGenome, device: jax.Device | None = None) -> None:
        graph, self._state = nnx.split(network)
        self._decode = jax.jit(functools.partial(_decode, graph))
        shapes = [(TRUNK_BIN_BP, network.config.channels), (2 * network.config.channels,)]
        dtype = network.encoder.embedder.conv.kernel.dtype
        self.store = BlockStore(shapes, dtype, rows=_FIRST_ROWS, max_rows=int(ABSENT), device=device)

    def decode(
        self, trunk: jax.Array, encoded: EncodedWindow, skips: Sequence[jax.Array], bins: np.ndarray
    ) -> np.ndarray:
        """The rows of the store in which the blocks of `bins` (K,) are: int32 (K,).

        Args:
            trunk: (N, C), after the tower.
            encoded: the window; blocks of the skips that are read must be kept.
            skips: by level, projected blocks (R, 128 >> level, C).
            bins: ascending, each once.
        """
        rows = np.full(len(trunk), ABSENT)
        rows[bins] = self.store.take(len(bins))
        kept = np.pad(encoded.rows(), ((0, 0), (_SKIP_MARGIN, _SKIP_MARGIN)), constant_values=ABSENT)
        tiles = np.unique(bins // _TILE_BINS)
        for first in range(0, len(tiles), _TILES_AT_A_TIME):
            chunk = tiles[first : first + _TILES_AT_A_TIME]
            filled = np.append(chunk, np.full(_TILES_AT_A_TIME - len(chunk), chunk[-1]))
            around = filled[:, None] * _TILE_BINS + np.arange(_TILE_BINS + 2 * _SKIP_MARGIN)
            blocks = self._decode(self._state, trunk, skips, filled * _TILE_BINS, kept[:, around])
            to = rows[filled[:, None] * _TILE_BINS + np.arange(_TILE_BINS)]
            to[len(chunk) :] = ABSENT
            self.store.write(to.ravel(), blocks)
        return rows[bins]


def _decode(
    graph: nnx.GraphDef,
    state: nnx.State,
    trunk: jax.Array,
    stored: Sequence[jax.Array],
    first_bins: jax.Array,
    rows: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Tiles of one window.

    Args:
        trunk: (N, C), after the tower.
        stored: by level, projected blocks of skips (R, 128 >> level, C).
        first_bins: int32 (B,).
        rows: int32 (bands, B, T + 2 margins), where the blocks of the tiles and around them are stored.

    Returns:
        Decoded blocks (B T, 128, C), and what the coarse embedding adds to each bin (B T, 2 C).
    """
    network = nnx.merge(graph, state)
    bins = first_bins[:, None] + jnp.arange(-TRUNK_MARGIN_BINS, _TILE_BINS + TRUNK_MARGIN_BINS)
    around = trunk[jnp.clip(bins, 0, len(trunk) - 1)]
    skips = []
    for band, levels in zip(rows, (band.levels for band in BANDS), strict=True):
        for level in levels:
            cut = _SKIP_MARGIN - SKIP_MARGIN_BINS[level]
            skips.append(read_blocks(stored[level], band[:, cut : band.shape[1] - cut]))
    blocks = decode_tiles(network.decoder, around, skips, first_bins, window_bins=len(trunk))
    own = around[:, TRUNK_MARGIN_BINS:-TRUNK_MARGIN_BINS]
    coarse = network.embedder_1.project_coarse(network.embedder_128(own, LOADED_ORGANISM))
    return tuple(x.reshape(-1, *x.shape[2:]) for x in (blocks, coarse))


def with_margins(bins: np.ndarray, window_bins: int) -> list[np.ndarray]:
    """The bins whose skips are read to decode `bins`, those in the window, by band."""
    first_bins = np.unique(bins // _TILE_BINS) * _TILE_BINS
    near = []
    for band in BANDS:
        around = first_bins[:, None] + np.arange(-band.margin_bins, _TILE_BINS + band.margin_bins)
        near.append(np.unique(around[(around >= 0) & (around < window_bins)]))
    return near


def split_bins(bins: np.ndarray, max_kept: Sequence[int]) -> list[tuple[int, int]]:
    """Stretches, first and end, that cover `bins` tile by tile; each reads skips of few enough bins, by band."""
    if not len(bins):
        return []
    tiles = np.unique(bins // _TILE_BINS)
    first, end = int(tiles[0]) * _TILE_BINS, int(tiles[-1] + 1) * _TILE_BINS
    read = with_margins(bins, end)
    if len(tiles) == 1 or all(len(asked) <= most for asked, most in zip(read, max_kept, strict=True)):
        return [(first, end)]
    middle = tiles[len(tiles) // 2] * _TILE_BINS
    return split_bins(bins[bins < middle], max_kept) + split_bins(bins[bins >= middle], max_kept)
