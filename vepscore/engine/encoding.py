"""The trunk and the skips of windows, a run of bins at a time; what windows have in common is computed once.

A run is a stretch that is encoded in one piece. The reference has large runs on a grid from the window's start; those
with the same bases are shared among windows. An alternate has the reference's runs, and runs of its own for the
stretch that its bases change. Where a run begins hangs on the window and the allele alone, not on what was computed
before, so that a score has the same bytes in any order of work.

The decoder reads skips. They are large, so only the blocks that it will read are kept, already projected, in stores of
bounded size; for a block that is not there its run is encoded again. There are two stores, since the decoder reads the
skips of the coarse levels, which are small, in more bins than those of the fine ones.

Axes: N bins of 128 bp of the window, T bins of a run, K bins asked for, C channels.
"""

import collections
import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vepscore.engine.pages import ABSENT, BlockStore, block_bytes
from vepscore.genome.windows import UNKNOWN
from vepscore.model.config import TRUNK_BIN_BP
from vepscore.model.network import AlphaGenome
from vepscore.model.tiles import (
    SKIP_MARGIN_BINS,
    SKIP_POSITIONS,
    encode_tiles,
    encoder_margin_bp,
    project_skip,
)

RUN_BINS = 128  # of the reference's runs; the smallest window has as many
PATCH_BINS = 12  # of a short run: a substitution changes at most ten bins, eleven with all local layers
_PATCHED_BINS = 80  # fewer are cheaper to encode as short runs
_PROJECTED_BINS = {RUN_BINS: 16, PATCH_BINS: PATCH_BINS}  # at a time
_STORE_BYTES = 2 << 30  # of a store, at most, where that is enough for _MIN_STORE_ROWS
_MIN_STORE_ROWS = 512
_SHARING_WINDOWS = 2  # whose runs are remembered


class Band(NamedTuple):
    """Levels whose skips are kept for the same bins."""

    levels: range
    margin_bins: int  # of a tile of the decoder, to either side


def _bands() -> tuple[Band, Band]:
    fine = SKIP_MARGIN_BINS.count(1)
    return Band(range(fine), 1), Band(range(fine, len(SKIP_MARGIN_BINS)), max(SKIP_MARGIN_BINS))


BANDS = _bands()
Bins = Sequence[np.ndarray]  # int (K,) for each band, ascending


@dataclasses.dataclass(eq=False, kw_only=True)
class Tile:
    """Bases that are encoded in one piece, wherever they lie."""

    codes: np.ndarray  # uint8 (128 T + 2 margins,)
    rows: np.ndarray  # int32 (bands, T): where its blocks are in the stores, or ABSENT
    trunk: Any = None  # (T, C) on the device, once it is encoded


class Run(NamedTuple):
    """A tile in its place in a window."""

    first_bin: int
    tile: Tile

    @classmethod
    def cut(cls, padded: np.ndarray, first_bin: int, bins: int, *, margin_bp: int) -> "Run":
        """From a window's codes with margins."""
        start = first_bin * TRUNK_BIN_BP
        codes = padded[start : start + bins * TRUNK_BIN_BP + 2 * margin_bp]
        return cls(first_bin, Tile(codes=codes, rows=np.full((len(BANDS), bins), ABSENT)))


@dataclasses.dataclass(eq=False, kw_only=True)
class EncodedWindow:
    """What the encoder makes of a window."""

    codes: np.ndarray  # uint8 (S,)
    runs: list[Run]
    owner: np.ndarray  # int (N,): the run whose numbers each bin has
    trunk: Any = None  # (N, C) on the device, without the organism's embedding

    def rows(self) -> np.ndarray:
        """Where the blocks of each bin are in the stores, or ABSENT: int32 (bands, N)."""
        rows = np.full((len(BANDS), len(self.owner)), ABSENT)
        for index, run in enumerate(self.runs):
            own = np.flatnonzero(self.owner == index)
            rows[:, own] = run.tile.rows[:, own - run.first_bin]
        return rows

    def by_run(self, bins: Bins) -> Iterator[tuple[Run, Bins]]:
        """The runs that own any of `bins`, which are in the window; and by band their own, from where they begin."""
        for index in np.unique(np.concatenate([self.owner[asked] for asked in bins])):
            run = self.runs[index]
            yield run, [asked[self.owner[asked] == index] - run.first_bin for asked in bins]


class WindowEncoder:
    """Encodes windows of one width.

    Args:
        network: whose encoder it is.
        window_bins: N.
        device: that has the network's parameters; None for JAX's default.
    """

    def __init__(self, network: AlphaGenome, window_bins: int, device: jax.Device | None = None) -> None:
        graph, self._state = nnx.split(network)
        self._window_bins = window_bins
        self._margin_bp = encoder_margin_bp(network.config.local_layers)
        self._encode = jax.jit(functools.partial(_encode, graph, window_bins), donate_argnums=1)
        self._shared: collections.OrderedDict[tuple, Tile] = collections.OrderedDict()
        self.stores = [_create_store(network, band, window_bins, device) for band in BANDS]

    @property
    def skips(self) -> list[jax.Array]:
        """The stores' arrays, by level."""
        return [array for store in self.stores for array in store.arrays]

    @property
    def max_kept_bins(self) -> tuple[int, ...]:
        """How many bins of a window `keep` can be asked for, by band; the rest is room for other alternates."""
        return tuple(store.max_rows // 2 for store in self.stores)

    def encode_reference(self, codes: np.ndarray, bins: Bins) -> EncodedWindow:
        """A window of the reference; blocks of `bins` are kept as far as there is room."""
        last = self._window_bins - RUN_BINS
        padded = self._pad(codes)
        runs = [
            self._share(self._cut(padded, first, RUN_BINS)) for first in [*range(0, last, RUN_BINS), last]
        ]
        owner = np.minimum(np.arange(self._window_bins) // RUN_BINS, len(runs) - 1)
        window = EncodedWindow(codes=codes, runs=runs, owner=owner)
        self._encode_runs(window, bins, room=[store.free for store in self.stores])
        rest = self._window_bins - (len(runs) - 1) * RUN_BINS
        *before, final = [run.tile.trunk for run in runs]
        window.trunk = jnp.concatenate([*before, final[-rest:]])
        return window

    def encode_alternate(
        self, codes: np.ndarray, reference: EncodedWindow, bins: Bins, own: np.ndarray | None = None
    ) -> EncodedWindow:
        """Encode a window of the reference's place; what they have in common is not computed again.

        Args:
            codes: uint8 (S,).
            reference: the reference's window.
            bins: whose blocks the decoder will read.
            own: bool (N,), the bins that are read at all; the others stay as in the reference. None: all.
        """
        padded, owner, runs = self._pad(codes), reference.owner.copy(), list(reference.runs)
        changed = _changed_bins(reference.codes, codes, self._margin_bp)
        for first, end in _stretches(changed if own is None else changed & own):
            while first < end:
                size = PATCH_BINS if end - first < _PATCHED_BINS else RUN_BINS
                owner[first : min(first + size, end)] = len(runs)
                runs.append(self._cut(padded, min(first, self._window_bins - size), size))
                first += size
        window = EncodedWindow(codes=codes, runs=runs, owner=owner)
        self._encode_runs(
            window, bins, room=[max(0, store.free - store.max_rows // 2) for store in self.stores]
        )
        window.trunk = reference.trunk
        for index, run in enumerate(runs[len(reference.runs) :], start=len(reference.runs)):
            own = np.flatnonzero(owner == index)
            window.trunk = _place(window.trunk, run.tile.trunk, run.first_bin, own[0], own[-1])
        return window

    def keep(self, window: EncodedWindow, bins: Bins) -> None:
        """Makes the blocks of `bins`, at most `max_kept_bins`, be in the stores."""
        rows = window.rows()
        missing = [asked[known[asked] == ABSENT] for asked, known in zip(bins, rows, strict=True)]
        if any(len(asked) > store.free for asked, store in zip(missing, self.stores, strict=True)):
            self._make_room(window, bins)
        unfilled = [len(asked) for asked in missing]
        for run, own in window.by_run(missing):
            for band, store in enumerate(self.stores):
                # Whoever comes back to a tile is likely to come again, for blocks beside those.
                beside = np.setdiff1d(np.flatnonzero(run.tile.rows[band] == ABSENT), own[band])
                unfilled[band] -= len(own[band])
                own[band] = np.append(
                    own[band], beside[: max(0, store.free - len(own[band]) - unfilled[band])]
                )
            self._encode_run(run, own)

    def release(self, window: EncodedWindow, reference: EncodedWindow | None = None) -> None:
        """Gives back the blocks that a window has for itself: not with the reference's, nor remembered."""
        shared = {id(tile) for tile in self._shared.values()}
        for run in window.runs[len(reference.runs) if reference else 0 :]:
            if id(run.tile) not in shared:
                self._drop(run.tile, np.ones(run.tile.rows.shape, bool))

    def clear(self) -> None:
        """Forget the tiles that windows have in common, and free their blocks."""
        for tile in self._shared.values():
            self._drop(tile, np.ones(tile.rows.shape, bool))
        self._shared.clear()

    def _pad(self, codes: np.ndarray) -> np.ndarray:
        return np.pad(codes, self._margin_bp, constant_values=UNKNOWN)

    def _cut(self, padded: np.ndarray, first_bin: int, bins: int) -> Run:
        return Run.cut(padded, first_bin, bins, margin_bp=self._margin_bp)

    def _share(self, run: Run) -> Run:
        """The same run, of a tile that has these bases already, as far from the window's ends, if there is one."""
        after = self._window_bins - run.first_bin - run.tile.rows.shape[1]
        near_end = -(-self._margin_bp // TRUNK_BIN_BP)
        key = (min(run.first_bin, near_end), min(after, near_end), run.tile.codes.tobytes())
        tile = self._shared.setdefault(key, run.tile)
        self._shared.move_to_end(key)
        while len(self._shared) > _SHARING_WINDOWS * -(-self._window_bins // RUN_BINS):
            _, oldest = self._shared.popitem(last=False)
            self._drop(oldest, np.ones(oldest.rows.shape, bool))
        return run._replace(tile=tile)

    def _encode_runs(self, window: EncodedWindow, bins: Bins, *, room: Sequence[int]) -> None:
        """Encodes the runs that have not been; keeps blocks of `bins` in as many rows as `room`, by band."""
        wanted = dict(window.by_run(bins))
        for run in window.runs:
            if run.tile.trunk is None:
                own = wanted.get(run, [np.zeros(0, int)] * len(BANDS))
                kept = [asked[:rows] for asked, rows in zip(own, room, strict=True)]
                self._encode_run(run, kept)
                room = [rows - len(asked) for asked, rows in zip(kept, room, strict=True)]

    def _encode_run(self, run: Run, kept: Bins) -> None:
        """Encodes a run and keeps the blocks of some of its bins, counted from its start, that are not kept yet."""
        tile = run.tile
        kept = [asked[tile.rows[band, asked] == ABSENT] for band, asked in enumerate(kept)]
        counts = np.array([len(asked) for asked in kept])
        if tile.trunk is not None and not counts.any():
            return
        index, rows = np.zeros(tile.rows.shape, np.int32), np.full(tile.rows.shape, ABSENT)
        for band, (asked, store) in enumerate(zip(kept, self.stores, strict=True)):
            tile.rows[band, asked] = store.take(len(asked))
            index[band, : len(asked)], rows[band, : len(asked)] = asked, tile.rows[band, asked]
        stored = [store.arrays for store in self.stores]
        place = np.int32(run.first_bin)
        tile.trunk, stored = self._encode(self._state, stored, tile.codes, place, index, rows, counts)
        for store, arrays in zip(self.stores, stored, strict=True):
            store.arrays = arrays

    def _make_room(self, window: EncodedWindow, bins: Bins) -> None:
        """Drops the blocks of all tiles but those that `bins` of this window need."""
        tiles = {id(tile): tile for tile in [*self._shared.values(), *(run.tile for run in window.runs)]}
        needed = {key: np.zeros(tile.rows.shape, bool) for key, tile in tiles.items()}
        for run, own in window.by_run(bins):
            for band, asked in enumerate(own):
                needed[id(run.tile)][band, asked] = True
        for key, tile in tiles.items():
            self._drop(tile, ~needed[key])

    def _drop(self, tile: Tile, dropped: np.ndarray) -> None:
        """Gives back blocks of a tile: bool (bands, T)."""
        for band, store in enumerate(self.stores):
            store.give_back(tile.rows[band, dropped[band]])
        tile.rows[dropped] = ABSENT


def _create_store(
    network: AlphaGenome, band: Band, window_bins: int, device: jax.Device | None
) -> BlockStore:
    config = network.config
    shapes = [(SKIP_POSITIONS[level], config.channels + level * config.channel_step) for level in band.levels]
    dtype = network.dtype
    affordable = max(_STORE_BYTES // block_bytes(shapes, dtype), _MIN_STORE_ROWS)
    rows = min(affordable, 2 * window_bins + RUN_BINS)
    return BlockStore(shapes, dtype, rows=rows, max_rows=rows, device=device)


def _changed_bins(reference: np.ndarray, alternate: np.ndarray, margin_bp: int) -> np.ndarray:
    """bool (N,): the bins of the trunk that hang on a base that differs."""
    bins = len(reference) // TRUNK_BIN_BP
    differs = np.flatnonzero(reference != alternate)
    firsts = -(-(differs - margin_bp - TRUNK_BIN_BP + 1) // TRUNK_BIN_BP)
    ends = (differs + margin_bp) // TRUNK_BIN_BP + 1
    steps = np.bincount(np.clip(firsts, 0, bins), minlength=bins + 1)
    steps -= np.bincount(np.clip(ends, 0, bins), minlength=bins + 1)
    return np.cumsum(steps[:bins]) > 0


def _stretches(marked: np.ndarray) -> list[tuple[int, int]]:
    """The first and the end of each stretch of True."""
    edges = np.flatnonzero(np.diff(marked, prepend=False, append=False))
    return [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]


def _encode(
    graph: nnx.GraphDef,
    window_bins: int,
    state: nnx.State,
    stored: Sequence[tuple[jax.Array, ...]],
    codes: jax.Array,
    first_bin: jax.Array,
    kept: jax.Array,
    rows: jax.Array,
    counts: jax.Array,
) -> tuple[jax.Array, list[tuple[jax.Array, ...]]]:
    """A run's trunk (T, C), and the stores with blocks of the run.

    Args:
        graph, state: the network.
        window_bins: N.
        stored: the arrays of each store.
        codes: uint8 (128 T + 2 margins,).
        first_bin: where in the window the run begins.
        kept: int32 (bands, T), the bins to keep, of which there are `counts` (bands,).
        rows: int32 (bands, T), where they go.
    """
    network = nnx.merge(graph, state)
    trunk, skips = encode_tiles(network.encoder, codes[None], first_bin[None], window_bins=window_bins)
    at_a_time = _PROJECTED_BINS[kept.shape[1]]

    def project(band: int, chunk: jax.Array, arrays: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        bins, to = (jax.lax.dynamic_slice_in_dim(x[band], chunk * at_a_time, at_a_time) for x in (kept, rows))
        return tuple(
            array.at[to].set(project_skip(network.decoder, skips[level][0, bins], level=level), mode="drop")
            for level, array in zip(BANDS[band].levels, arrays, strict=True)
        )

    filled = [
        jax.lax.fori_loop(0, -(-counts[band] // at_a_time), functools.partial(project, band), arrays)
        for band, arrays in enumerate(stored)
    ]
    return trunk[0], filled


@jax.jit
def _place(
    trunk: jax.Array, piece: jax.Array, first_bin: jax.Array, own_first: jax.Array, own_last: jax.Array
) -> jax.Array:
    """`trunk` (N, C) with the rows of `piece` (T, C) that are its own."""
    bins = first_bin + jnp.arange(len(piece))
    own = (bins >= own_first) & (bins <= own_last)
    return trunk.at[jnp.where(own, bins, len(trunk))].set(piece, mode="drop")
