"""The decoder on tiles: blocks of the decoded sequence of those bins of a window that scorers read.

Axes: N bins of 128 bp of the window, B tiles, T bins of a tile, K bins asked for, R rows of a store, C channels.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vepscore.engine.encoding import BANDS, EncodedWindow
from vepscore.engine.pages import ABSENT, BlockStore, read_blocks
from vepscore.model.checkpoint import LOADED_ORGANISM
from vepscore.model.config import TRUNK_BIN_BP
from vepscore.model.network import AlphaGenome
from vepscore.model.tiles import SKIP_MARGIN_BINS, TRUNK_MARGIN_BINS, decode_tiles

_TILE_BINS = 2  # an exon has few more; smaller ones have more margin than they save
_TILES_AT_A_TIME = 12
_FEWER_TILES = (4, 8)  # at a time, for what is left over
_SKIP_MARGIN = max(SKIP_MARGIN_BINS)
_FIRST_ROWS = 512


class Undecoded(NamedTuple):
    """A window as the decoder takes it."""

    trunk: jax.Array  # (N, C), after the tower, in all `trunk_bins`
    encoded: EncodedWindow  # blocks of the skips that are read must be kept
    skips: Sequence[jax.Array]  # by level, projected blocks (R, 128 >> level, C)
    rows: np.ndarray  # int32 (N,): where decoded bins are in the store, which the decoder fills in, or ABSENT


class WindowDecoder:
    """Decodes bins of windows, and keeps their blocks.

    A block is decoded with the tile that it lies in, on a grid from the window's start, and in calls whose size hangs
    on the plan of its allele alone, so that it has the same bytes whatever else is decoded.

    Args:
        network: whose decoder it is.
        device: that has the network's parameters; None for JAX's default.
    """

    def __init__(self, network: AlphaGenome, device: jax.Device | None = None) -> None:
        graph, self._state = nnx.split(network)
        self._decode = jax.jit(functools.partial(_decode, graph))
        shapes = [(TRUNK_BIN_BP, network.config.channels), (2 * network.config.channels,)]
        dtype = network.dtype
        self.store = BlockStore(shapes, dtype, rows=_FIRST_ROWS, max_rows=int(ABSENT), device=device)

    def decode(self, window: Undecoded, bins: np.ndarray, demand: np.ndarray) -> None:
        """Decodes bins of a window that has none of them decoded.

        Args:
            window: the window.
            bins: int (K,), ascending, each once.
            demand: all bins that the window is asked for, by which the size of the calls is chosen: it must not hang
                on how they are divided.
        """
        tiles, all_tiles = np.unique(bins // _TILE_BINS), np.unique(demand // _TILE_BINS)
        left_over = all_tiles[len(all_tiles) // _TILES_AT_A_TIME * _TILES_AT_A_TIME :]
        at_a_time = min((size for size in _FEWER_TILES if size >= len(left_over)), default=_TILES_AT_A_TIME)
        window.rows[bins] = self.store.take(len(bins))
        self._decode_tiles(window, np.setdiff1d(tiles, left_over), _TILES_AT_A_TIME)
        self._decode_tiles(window, np.intersect1d(tiles, left_over), at_a_time)

    def decode_ahead(self, window: Undecoded, bins: np.ndarray) -> None:
        """The same for a window that later variants read too: calls are filled up with what the next may ask for.

        All calls have one size: what is asked for hangs on what was decoded before, and the bytes must not.
        """
        tiles = np.unique(bins // _TILE_BINS)
        tiles = np.append(tiles, _following(window, tiles)[: -len(tiles) % _TILES_AT_A_TIME])
        bins = (tiles[:, None] * _TILE_BINS + np.arange(_TILE_BINS)).ravel()
        bins = bins[window.rows[bins] == ABSENT]
        window.rows[bins] = self.store.take(len(bins))
        self._decode_tiles(window, tiles, _TILES_AT_A_TIME)

    def _decode_tiles(self, window: Undecoded, tiles: np.ndarray, at_a_time: int) -> None:
        margins = (0, 0), (_SKIP_MARGIN, _SKIP_MARGIN)
        kept = np.pad(window.encoded.rows(), margins, constant_values=ABSENT)
        for first in range(0, len(tiles), at_a_time):
            chunk = tiles[first : first + at_a_time]
            filled = np.append(chunk, np.full(at_a_time - len(chunk), chunk[-1]))
            around = filled[:, None] * _TILE_BINS + np.arange(_TILE_BINS + 2 * _SKIP_MARGIN)
            blocks = self._decode(
                self._state, window.trunk, window.skips, filled * _TILE_BINS, kept[:, around]
            )
            to = window.rows[filled[:, None] * _TILE_BINS + np.arange(_TILE_BINS)]
            to[len(chunk) :] = ABSENT
            self.store.write(to.ravel(), blocks)


def _following(window: Undecoded, tiles: np.ndarray) -> np.ndarray:
    """The tiles behind any of `tiles`, nearest first, that are not decoded and have the skips that they read."""
    ready = (window.rows == ABSENT).reshape(-1, _TILE_BINS).all(axis=1)
    for band, kept in zip(BANDS, window.encoded.rows() != ABSENT, strict=True):
        padded = np.pad(kept, band.margin_bins, constant_values=True)
        near = np.lib.stride_tricks.sliding_window_view(padded, _TILE_BINS + 2 * band.margin_bins)
        ready &= near[::_TILE_BINS].all(axis=1)
    ready[tiles] = False
    found = np.flatnonzero(ready)
    found = found[found > tiles[0]]
    behind = found - tiles[np.searchsorted(tiles, found) - 1]
    return found[np.argsort(behind, kind="stable")]


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
    return [_near(bins, band.margin_bins, window_bins) for band in BANDS]


def trunk_bins(bins: np.ndarray, window_bins: int) -> np.ndarray:
    """The bins of the trunk that are read to decode `bins`, those in the window."""
    return _near(bins, TRUNK_MARGIN_BINS, window_bins)


def _near(bins: np.ndarray, margin_bins: int, window_bins: int) -> np.ndarray:
    first_bins = np.unique(bins // _TILE_BINS) * _TILE_BINS
    around = first_bins[:, None] + np.arange(-margin_bins, _TILE_BINS + margin_bins)
    return np.unique(around[(around >= 0) & (around < window_bins)])


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
