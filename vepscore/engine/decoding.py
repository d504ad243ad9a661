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

_TILE_BINS = 2  # an exon has few more; smaller ones have more margin than they save
_TILES_AT_A_TIME = 16
WINDOWS_AT_A_TIME = 2  # an alternate and its reference
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
        self,
        windows: Sequence[tuple[jax.Array, EncodedWindow, np.ndarray]],
        skips: Sequence[jax.Array],
    ) -> list[np.ndarray]:
        """The rows of the store in which each window's blocks are: int32 (K,).

        Args:
            windows: at most `WINDOWS_AT_A_TIME`; of each the trunk after the tower (N, C), the window, whose blocks of
                the skips that are read must be kept, and the bins (K,), ascending, each once.
            skips: by level, projected blocks (R, 128 >> level, C).
        """
        trunks = [trunk for trunk, _, _ in windows]
        trunks += trunks[-1:] * (WINDOWS_AT_A_TIME - len(windows))
        rows, kept, tiles = [], [], []
        for index, (trunk, encoded, bins) in enumerate(windows):
            own = np.full(len(trunk), ABSENT)
            own[bins] = self.store.take(len(bins))
            rows.append(own)
            margins = (0, 0), (_SKIP_MARGIN, _SKIP_MARGIN)
            kept.append(np.pad(encoded.rows(), margins, constant_values=ABSENT))
            tiles += [(index, tile * _TILE_BINS) for tile in np.unique(bins // _TILE_BINS)]
        for first in range(0, len(tiles), _TILES_AT_A_TIME):
            chunk = tiles[first : first + _TILES_AT_A_TIME]
            index, first_bins = np.array(chunk + chunk[-1:] * (_TILES_AT_A_TIME - len(chunk)), np.int32).T
            around = first_bins[:, None] + np.arange(_TILE_BINS + 2 * _SKIP_MARGIN)
            near = np.stack(kept)[index[:, None], :, around].transpose(2, 0, 1)
            blocks = self._decode(self._state, trunks, skips, index, first_bins, near)
            to = np.stack(rows)[index[:, None], first_bins[:, None] + np.arange(_TILE_BINS)]
            to[len(chunk) :] = ABSENT
            self.store.write(to.ravel(), blocks)
        return [own[bins] for own, (_, _, bins) in zip(rows, windows, strict=True)]


def _decode(
    graph: nnx.GraphDef,
    state: nnx.State,
    trunks: Sequence[jax.Array],
    stored: Sequence[jax.Array],
    index: jax.Array,
    first_bins: jax.Array,
    rows: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Tiles of a few windows.

    Args:
        trunks: of each window (N, C), after the tower.
        stored: by level, projected blocks of skips (R, 128 >> level, C).
        index: int32 (B,), the window that each tile is in.
        first_bins: int32 (B,), where it begins there.
        rows: int32 (bands, B, T + 2 margins), where the blocks of the tiles and around them are stored.

    Returns:
        Decoded blocks (B T, 128, C), and what the coarse embedding adds to each bin (B T, 2 C).
    """
    network = nnx.merge(graph, state)
    bins = first_bins[:, None] + jnp.arange(-TRUNK_MARGIN_BINS, _TILE_BINS + TRUNK_MARGIN_BINS)
    window_bins = len(trunks[0])
    inside = jnp.clip(bins, 0, window_bins - 1)
    around = jnp.stack([trunk[inside] for trunk in trunks])[index, jnp.arange(len(index))]
    skips = []
    for band, levels in zip(rows, (band.levels for band in BANDS), strict=True):
        for level in levels:
            cut = _SKIP_MARGIN - SKIP_MARGIN_BINS[level]
            skips.append(read_blocks(stored[level], band[:, cut : band.shape[1] - cut]))
    blocks = decode_tiles(network.decoder, around, skips, first_bins, window_bins=window_bins)
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
