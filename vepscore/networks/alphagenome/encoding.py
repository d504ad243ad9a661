"""Encode windows into the trunk and the skips, a segment of bins at a time; see `window_segments`.

The decoder reads the skips. They are large, so only the pages that it will read are kept, already projected, in stores
of bounded size; if a page is missing, its segment is encoded again. There are two stores, because the decoder reads the
small skips of the coarse levels in more bins than those of the fine levels.

Axes in shapes: `window` bins of 128 bp, `tile` bins, `bands` of levels, `channels`.
"""

import collections
import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, Int32, UInt8

from vepscore.genome.windows import UNKNOWN
from vepscore.model.pages import ABSENT, PageStore, page_bytes
from vepscore.networks.alphagenome.config import TRUNK_BIN_BP
from vepscore.networks.alphagenome.network import AlphaGenome
from vepscore.networks.alphagenome.tiles import (
    SKIP_POSITIONS,
    encode_tiles,
    encoder_margin_bp,
    project_skip,
)
from vepscore.networks.alphagenome.window_segments import (
    BANDS,
    Band,
    BandBins,
    Segment,
    Segmentation,
    Tile,
    changed_bins,
    intervals_of,
)

SEGMENT_BINS = 128  # size of the reference's segments; the smallest window has as many bins
# Size of small segments: an SNV changes at most 10 bins, 11 in a network with all local layers.
PATCH_BINS = 12
_PATCHED_BINS = 80  # fewer changed bins than this are cheaper to encode as small segments
_PROJECTED_BINS = {SEGMENT_BINS: 16, PATCH_BINS: PATCH_BINS}  # whose skips are projected together, by size
_STORE_BYTES = 2 << 30  # limit of a store's size, unless it then has fewer than _MIN_STORE_ROWS
_MIN_STORE_ROWS = 512
_CACHED_WINDOWS = 2  # number of windows whose reference tiles are cached


class EncodedWindow(NamedTuple):
    """An encoded window; its trunk is without the organism's embedding."""

    codes: UInt8[np.ndarray, " bases"]
    segmentation: Segmentation
    trunk: Float[Array, "window channels"]


class WindowEncoder:
    """Encodes windows of one width.

    Args:
        network: the network whose encoder to use.
        window_bins: width of a window, in bins of 128 bp.
        device: the device that has the network's parameters; None for JAX's default.

    Attributes:
        stores: of the skips' pages, by band.
    """

    def __init__(self, network: AlphaGenome, window_bins: int, device: jax.Device | None = None) -> None:
        graph, self._state = nnx.split(network)
        self._window_bins = window_bins
        self._margin_bp = encoder_margin_bp(network.config.local_layers)
        self._encode = jax.jit(functools.partial(_encode, graph, window_bins), donate_argnums=1)
        self._shared: collections.OrderedDict[tuple, Tile] = collections.OrderedDict()
        self.stores = [_create_store(network, band, window_bins, device) for band in BANDS]

    @property
    def skips(self) -> list[Array]:
        """All pages of the skips, an array (rows, positions, channels) for each level."""
        return [array for store in self.stores for array in store.arrays]

    @property
    def max_kept_bins(self) -> tuple[int, ...]:
        """How many bins of one window `keep` can hold, by band; the other pages are for other alternates."""
        return tuple(store.max_rows // 2 for store in self.stores)

    def encode_reference(self, codes: UInt8[np.ndarray, " bases"], bins: BandBins) -> EncodedWindow:
        """Encode a window of the reference, and keep pages of `bins` as far as there is room."""
        last = self._window_bins - SEGMENT_BINS
        padded = self._pad(codes)
        segments = [
            self._share(self._cut(padded, first, SEGMENT_BINS))
            for first in [*range(0, last, SEGMENT_BINS), last]
        ]
        segment_of = np.minimum(np.arange(self._window_bins) // SEGMENT_BINS, len(segments) - 1)
        segmentation = Segmentation(segments, segment_of)
        self._encode_segments(segmentation, bins, room=[store.free for store in self.stores])
        rest = self._window_bins - (len(segments) - 1) * SEGMENT_BINS
        *before, final = [segment.tile.encoded() for segment in segments]
        trunk = jnp.concatenate([*before, final[-rest:]])
        return EncodedWindow(codes, segmentation, trunk)

    def encode_alternate(
        self,
        codes: UInt8[np.ndarray, " bases"],
        reference: EncodedWindow,
        bins: BandBins,
        read: Bool[np.ndarray, " window"] | None = None,
    ) -> EncodedWindow:
        """Encode a window of an alternate allele where it differs from the reference.

        The decoder will read the pages of `bins`. Bins that are not `read` stay as in the reference; None: read all.
        """
        shared = reference.segmentation
        padded, segments, segment_of = self._pad(codes), list(shared.segments), shared.segment_of.copy()
        changed = changed_bins(reference.codes, codes, self._margin_bp)
        for first, end in intervals_of(changed if read is None else changed & read):
            while first < end:
                size = PATCH_BINS if end - first < _PATCHED_BINS else SEGMENT_BINS
                segment_of[first : min(first + size, end)] = len(segments)
                segments.append(self._cut(padded, min(first, self._window_bins - size), size))
                first += size
        room = [max(0, store.free - store.max_rows // 2) for store in self.stores]
        segmentation = Segmentation(segments, segment_of)
        self._encode_segments(segmentation, bins, room=room)
        trunk = reference.trunk
        for index in range(len(shared.segments), len(segments)):
            first_bin, tile = segments[index]
            own = np.flatnonzero(segment_of == index)
            trunk = _replace_bins(trunk, tile.encoded(), first_bin, own[0], own[-1])
        return EncodedWindow(codes, segmentation, trunk)

    def keep(self, window: EncodedWindow, bins: BandBins) -> None:
        """Make sure that the stores have the pages of `bins`, of which there are at most `max_kept_bins`."""
        rows = window.segmentation.rows()
        missing = [of_band[known[of_band] == ABSENT] for of_band, known in zip(bins, rows, strict=True)]
        if any(len(of_band) > store.free for of_band, store in zip(missing, self.stores, strict=True)):
            self._make_room(window, bins)
        unfilled = [len(of_band) for of_band in missing]
        for segment, own in window.segmentation.by_segment(missing):
            for band, store in enumerate(self.stores):
                # A tile that is encoded again is likely to be encoded once more for other pages: keep those too.
                others = np.setdiff1d(np.flatnonzero(segment.tile.rows[band] == ABSENT), own[band])
                unfilled[band] -= len(own[band])
                room = max(0, store.free - len(own[band]) - unfilled[band])
                own[band] = np.append(own[band], others[:room])
            self._encode_segment(segment, own)

    def release(self, window: EncodedWindow, reference: EncodedWindow | None = None) -> None:
        """Free the pages owned only by this window (not shared with the reference, not cached)."""
        shared = {id(tile) for tile in self._shared.values()}
        first = len(reference.segmentation.segments) if reference else 0
        for segment in window.segmentation.segments[first:]:
            if id(segment.tile) not in shared:
                self._drop(segment.tile)

    def clear(self) -> None:
        """Forget the cached tiles, and free their pages."""
        for tile in self._shared.values():
            self._drop(tile)
        self._shared.clear()

    def _pad(self, codes: UInt8[np.ndarray, " bases"]) -> UInt8[np.ndarray, " padded"]:
        return np.pad(codes, self._margin_bp, constant_values=UNKNOWN)

    def _cut(self, padded: UInt8[np.ndarray, " padded"], first_bin: int, bins: int) -> Segment:
        """Return a segment, from a window's bases with margins."""
        start = first_bin * TRUNK_BIN_BP
        codes = padded[start : start + bins * TRUNK_BIN_BP + 2 * self._margin_bp]
        return Segment(first_bin, Tile(codes=codes, rows=np.full((len(BANDS), bins), ABSENT)))

    def _share(self, segment: Segment) -> Segment:
        """Return the segment, with the cached tile that has the same bases as far from the window's ends, if any."""
        first_bin, tile = segment
        after = self._window_bins - first_bin - tile.rows.shape[1]
        near_end = -(-self._margin_bp // TRUNK_BIN_BP)
        key = (min(first_bin, near_end), min(after, near_end), tile.codes.tobytes())
        tile = self._shared.setdefault(key, tile)
        self._shared.move_to_end(key)
        while len(self._shared) > _CACHED_WINDOWS * -(-self._window_bins // SEGMENT_BINS):
            _, oldest = self._shared.popitem(last=False)
            self._drop(oldest)
        return Segment(first_bin, tile)

    def _encode_segments(self, segmentation: Segmentation, bins: BandBins, *, room: Sequence[int]) -> None:
        """Encode the segments that are not encoded yet; keep pages of `bins` in as many rows as `room`, by band."""
        wanted = dict(segmentation.by_segment(bins))
        for segment in segmentation.segments:
            if segment.tile.trunk is None:
                own = wanted.get(segment, [np.zeros(0, int)] * len(BANDS))
                kept = [of_band[:rows] for of_band, rows in zip(own, room, strict=True)]
                self._encode_segment(segment, kept)
                room = [rows - len(of_band) for of_band, rows in zip(kept, room, strict=True)]

    def _encode_segment(self, segment: Segment, bins: BandBins) -> None:
        """Encode a segment, and keep the pages of `bins`, counted from its start, that are not kept yet."""
        tile = segment.tile
        kept = [of_band[tile.rows[band, of_band] == ABSENT] for band, of_band in enumerate(bins)]
        counts = np.array([len(of_band) for of_band in kept])
        if tile.trunk is not None and not counts.any():
            return
        index, rows = np.zeros(tile.rows.shape, np.int32), np.full(tile.rows.shape, ABSENT)
        for band, (of_band, store) in enumerate(zip(kept, self.stores, strict=True)):
            tile.rows[band, of_band] = store.allocate(len(of_band))
            index[band, : len(of_band)], rows[band, : len(of_band)] = of_band, tile.rows[band, of_band]
        pages = [store.arrays for store in self.stores]
        first_bin = np.int32(segment.first_bin)
        tile.trunk, pages = self._encode(self._state, pages, tile.codes, first_bin, index, rows, counts)
        for store, arrays in zip(self.stores, pages, strict=True):
            store.arrays = arrays

    def _make_room(self, window: EncodedWindow, bins: BandBins) -> None:
        """Free the pages of all tiles except those that `bins` of this window need."""
        held = [*self._shared.values(), *(tile for _, tile in window.segmentation.segments)]
        tiles = {id(tile): tile for tile in held}
        needed = {key: np.zeros(tile.rows.shape, bool) for key, tile in tiles.items()}
        for segment, own in window.segmentation.by_segment(bins):
            for band, of_band in enumerate(own):
                needed[id(segment.tile)][band, of_band] = True
        for key, tile in tiles.items():
            self._drop(tile, ~needed[key])

    def _drop(self, tile: Tile, dropped: Bool[np.ndarray, "bands tile"] | None = None) -> None:
        """Free some of a tile's pages; None: all."""
        if dropped is None:
            dropped = np.ones(tile.rows.shape, bool)
        for band, store in enumerate(self.stores):
            store.release(tile.rows[band, dropped[band]])
        tile.rows[dropped] = ABSENT


def _create_store(network: AlphaGenome, band: Band, window_bins: int, device: jax.Device | None) -> PageStore:
    config = network.config
    shapes = [(SKIP_POSITIONS[level], config.channels + level * config.channel_step) for level in band.levels]
    dtype = network.dtype
    affordable = max(_STORE_BYTES // page_bytes(shapes, dtype), _MIN_STORE_ROWS)
    rows = min(affordable, 2 * window_bins + SEGMENT_BINS)
    return PageStore(shapes, dtype, rows=rows, max_rows=rows, device=device)


def _encode(
    graph: nnx.GraphDef,
    window_bins: int,
    state: nnx.State,
    pages: Sequence[tuple[Array, ...]],
    codes: UInt8[Array, " bases"],
    first_bin: Int32[Array, ""],
    kept: Int32[Array, "bands tile"],
    rows: Int32[Array, "bands tile"],
    counts: Int[Array, " bands"],
) -> tuple[Float[Array, "tile channels"], list[tuple[Array, ...]]]:
    """Encode a tile, and write pages of its projected skips to the stores; return its trunk, and the stores' arrays.

    `codes` are the tile's bases, with margins. The pages of the first `counts` bins of `kept` are written to `rows`, by
    band.
    """
    network = nnx.merge(graph, state)
    trunk, skips = encode_tiles(network.encoder, codes[None], first_bin[None], window_bins=window_bins)
    at_a_time = _PROJECTED_BINS[kept.shape[1]]

    def project(band: int, chunk: Array, arrays: tuple[Array, ...]) -> tuple[Array, ...]:
        bins, to = (jax.lax.dynamic_slice_in_dim(x[band], chunk * at_a_time, at_a_time) for x in (kept, rows))
        return tuple(
            array.at[to].set(project_skip(network.decoder, skips[level][0, bins], level=level), mode="drop")
            for level, array in zip(BANDS[band].levels, arrays, strict=True)
        )

    filled = [
        jax.lax.fori_loop(0, -(-counts[band] // at_a_time), functools.partial(project, band), arrays)
        for band, arrays in enumerate(pages)
    ]
    return trunk[0], filled


@jax.jit
def _replace_bins(
    trunk: Float[Array, "window channels"],
    tile: Float[Array, "tile channels"],
    first_bin: Int[Array, ""],
    own_first: Int[Array, ""],
    own_last: Int[Array, ""],
) -> Float[Array, "window channels"]:
    """Return the trunk with the tile's values in the bins from `own_first` to `own_last`, inclusive."""
    bins = first_bin + jnp.arange(len(tile))
    own = (bins >= own_first) & (bins <= own_last)
    return trunk.at[jnp.where(own, bins, len(trunk))].set(tile, mode="drop")
