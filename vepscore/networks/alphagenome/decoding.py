"""Decode the bins of windows that scorers read, tile by tile, and keep their pages.

Axes in shapes: `window` bins of 128 bp, `tiles`, `bins`, `bands` of levels, `rows` of a page store, `channels`.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int, Int32

from vepscore.model.network import LOADED_ORGANISM
from vepscore.model.pages import ABSENT, PageStore, read_pages
from vepscore.networks.alphagenome.config import TRUNK_BIN_BP
from vepscore.networks.alphagenome.network import AlphaGenome
from vepscore.networks.alphagenome.tiles import SKIP_MARGIN_BINS, TRUNK_MARGIN_BINS, decode_tiles
from vepscore.networks.alphagenome.window_segments import BANDS, BandBins, Segmentation

_TILE_BINS = 2  # about the size of an exon; smaller tiles spend more on their margins than they save
_TILES_AT_A_TIME = 12
_FEWER_TILES = (4, 8)  # call sizes for the tiles that remain
_SKIP_MARGIN = max(SKIP_MARGIN_BINS)
_FIRST_ROWS = 512

Bins = Int[np.ndarray, " _"]  # ascending


class DecoderInput(NamedTuple):
    """A window, ready to be decoded."""

    trunk: Float[Array, "window channels"]  # the tower's output, in all `trunk_bins`
    segmentation: Segmentation  # where the pages of its skips are kept
    skips: Sequence[Float[Array, "rows positions channels"]]  # projected, by level
    rows: Int32[np.ndarray, " window"]  # of decoded bins in the decoder's store, or ABSENT; filled in


class WindowDecoder:
    """Decodes bins of windows, and keeps their pages.

    A bin is decoded with its tile, on a grid from the window's start, in calls whose size depends on the plan of its
    allele alone, so that it has the same bytes whatever else is decoded.

    Args:
        network: the network whose decoder to use.
        device: the device that has the network's parameters; None for JAX's default.

    Attributes:
        store: of decoded bins: (128, channels), and what the coarse embedding adds to a bin, (2 channels,).
    """

    def __init__(self, network: AlphaGenome, device: jax.Device | None = None) -> None:
        graph, self._state = nnx.split(network)
        self._decode = jax.jit(functools.partial(_decode, graph))
        shapes = [(TRUNK_BIN_BP, network.config.channels), (2 * network.config.channels,)]
        dtype = network.dtype
        self.store = PageStore(shapes, dtype, rows=_FIRST_ROWS, max_rows=int(ABSENT), device=device)

    def decode(self, window: DecoderInput, bins: Bins, demand: Int[np.ndarray, " demand"]) -> None:
        """Decode bins of a window, none of which is decoded yet.

        `bins` are ascending and distinct. `demand` are all bins that are read in this window: they alone determine the
        size of the calls, however the bins are divided among calls.
        """
        tiles, all_tiles = np.unique(bins // _TILE_BINS), np.unique(demand // _TILE_BINS)
        remaining = all_tiles[len(all_tiles) // _TILES_AT_A_TIME * _TILES_AT_A_TIME :]
        at_a_time = min((size for size in _FEWER_TILES if size >= len(remaining)), default=_TILES_AT_A_TIME)
        window.rows[bins] = self.store.allocate(len(bins))
        self._decode_tiles(window, np.setdiff1d(tiles, remaining), _TILES_AT_A_TIME)
        self._decode_tiles(window, np.intersect1d(tiles, remaining), at_a_time)

    def decode_ahead(self, window: DecoderInput, bins: Bins) -> None:
        """Decode bins of a window that later variants will read too; fill up calls with bins that they may read.

        The size of the calls is fixed, so that results do not depend on which bins earlier variants already decoded.
        """
        tiles = np.unique(bins // _TILE_BINS)
        tiles = np.append(tiles, _next_tiles(window, tiles)[: -len(tiles) % _TILES_AT_A_TIME])
        bins = (tiles[:, None] * _TILE_BINS + np.arange(_TILE_BINS)).ravel()
        bins = bins[window.rows[bins] == ABSENT]
        window.rows[bins] = self.store.allocate(len(bins))
        self._decode_tiles(window, tiles, _TILES_AT_A_TIME)

    def _decode_tiles(self, window: DecoderInput, tiles: Int[np.ndarray, " tiles"], at_a_time: int) -> None:
        margins = (0, 0), (_SKIP_MARGIN, _SKIP_MARGIN)
        kept = np.pad(window.segmentation.rows(), margins, constant_values=ABSENT)
        for first in range(0, len(tiles), at_a_time):
            chunk = tiles[first : first + at_a_time]
            filled = np.append(chunk, np.full(at_a_time - len(chunk), chunk[-1]))
            around = filled[:, None] * _TILE_BINS + np.arange(_TILE_BINS + 2 * _SKIP_MARGIN)
            pages = self._decode(
                self._state, window.trunk, window.skips, filled * _TILE_BINS, kept[:, around]
            )
            to = window.rows[filled[:, None] * _TILE_BINS + np.arange(_TILE_BINS)]
            to[len(chunk) :] = ABSENT
            self.store.write(to.ravel(), pages)


def _next_tiles(window: DecoderInput, tiles: Int[np.ndarray, " tiles"]) -> Int[np.ndarray, " next"]:
    """Return the tiles after any of `tiles`, nearest first, that are not decoded and whose skips are kept."""
    ready = (window.rows == ABSENT).reshape(-1, _TILE_BINS).all(axis=1)
    for band, kept in zip(BANDS, window.segmentation.rows() != ABSENT, strict=True):
        padded = np.pad(kept, band.margin_bins, constant_values=True)
        near = np.lib.stride_tricks.sliding_window_view(padded, _TILE_BINS + 2 * band.margin_bins)
        ready &= near[::_TILE_BINS].all(axis=1)
    ready[tiles] = False
    found = np.flatnonzero(ready)
    found = found[found > tiles[0]]
    distance = found - tiles[np.searchsorted(tiles, found) - 1]
    return found[np.argsort(distance, kind="stable")]


def _decode(
    graph: nnx.GraphDef,
    state: nnx.State,
    trunk: Float[Array, "window channels"],
    stored: Sequence[Float[Array, "_ _ _"]],
    first_bins: Int[Array, " tiles"],
    rows: Int32[Array, "bands tiles around"],
) -> tuple[Float[Array, "bins 128 _"], Float[Array, "bins _"]]:
    """Decode tiles of one window: return pages of decoded bins, and of what the coarse embedding adds to each.

    `stored` are the projected skips, by level; `rows` are those of their pages in the tiles and in `_SKIP_MARGIN` bins
    on either side.
    """
    network = nnx.merge(graph, state)
    bins = first_bins[:, None] + jnp.arange(-TRUNK_MARGIN_BINS, _TILE_BINS + TRUNK_MARGIN_BINS)
    around = trunk[jnp.clip(bins, 0, len(trunk) - 1)]
    skips = []
    for band, levels in zip(rows, (band.levels for band in BANDS), strict=True):
        for level in levels:
            cut = _SKIP_MARGIN - SKIP_MARGIN_BINS[level]
            skips.append(read_pages(stored[level], band[:, cut : band.shape[1] - cut]))
    decoded = decode_tiles(network.decoder, around, skips, first_bins, window_bins=len(trunk))
    within = around[:, TRUNK_MARGIN_BINS:-TRUNK_MARGIN_BINS]
    coarse = network.embedder_1.project_coarse(network.embedder_128(within, LOADED_ORGANISM))
    return decoded.reshape(-1, *decoded.shape[2:]), coarse.reshape(-1, *coarse.shape[2:])


def bins_with_margins(bins: Bins, window_bins: int) -> BandBins:
    """Return the bins within the window whose skips are read to decode `bins`, by band."""
    return [_near(bins, band.margin_bins, window_bins) for band in BANDS]


def trunk_bins(bins: Bins, window_bins: int) -> Int[np.ndarray, " near"]:
    """Return the bins within the window whose trunk is read to decode `bins`."""
    return _near(bins, TRUNK_MARGIN_BINS, window_bins)


def _near(bins: Bins, margin_bins: int, window_bins: int) -> Int[np.ndarray, " near"]:
    first_bins = np.unique(bins // _TILE_BINS) * _TILE_BINS
    around = first_bins[:, None] + np.arange(-margin_bins, _TILE_BINS + margin_bins)
    return np.unique(around[(around >= 0) & (around < window_bins)])


def split_bins(bins: Bins, max_kept: Sequence[int]) -> list[tuple[int, int]]:
    """Return intervals, start and exclusive end, that cover `bins` tile by tile.

    In one interval, the skips of at most `max_kept` bins are read, by band, unless it is a single tile.
    """
    if not len(bins):
        return []
    tiles = np.unique(bins // _TILE_BINS)
    first, end = int(tiles[0]) * _TILE_BINS, int(tiles[-1] + 1) * _TILE_BINS
    read = bins_with_margins(bins, end)
    if len(tiles) == 1 or all(len(of_band) <= most for of_band, most in zip(read, max_kept, strict=True)):
        return [(first, end)]
    middle = tiles[len(tiles) // 2] * _TILE_BINS
    return split_bins(bins[bins < middle], max_kept) + split_bins(bins[bins >= middle], max_kept)
