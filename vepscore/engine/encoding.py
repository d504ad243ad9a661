"""The trunk and the skips of windows, a run of bins at a time; what windows have in common is computed once.

A run is a stretch that is encoded in one piece. The reference has large runs on a grid from the window's start; those
with the same bases are shared among windows. An alternate has the reference's runs, and runs of its own for the
stretch that its bases change. Where a run begins hangs on the window and the allele alone, not on what was computed
before, so that a score has the same bytes in any order of work.

The decoder reads skips. They are large, so only the blocks that it will read are kept, already projected, in a store
of bounded size; for a block that is not there its run is encoded again.

Axes: N bins of 128 bp of the window, T bins of a run, K bins asked for, C channels.
"""

import collections
import dataclasses
import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vepscore.engine.blocks import ABSENT, BlockStore, block_bytes
from vepscore.genome.windows import UNKNOWN
from vepscore.model.config import TRUNK_BIN_BP
from vepscore.model.network import AlphaGenome
from vepscore.model.tiles import ENCODER_MARGIN_BP, SKIP_POSITIONS, encode_tiles, project_skip

RUN_BINS = 128  # of the reference's runs; the smallest window has as many
PATCH_BINS = 12  # of a short run: a substitution changes at most ten bins
_PATCHED_BINS = 80  # fewer are cheaper to encode as short runs
_PROJECTED_BINS = {RUN_BINS: 16, PATCH_BINS: PATCH_BINS}  # at a time
_MARGIN_BINS = -(-ENCODER_MARGIN_BP // TRUNK_BIN_BP)
_STORE_BYTES = 2 << 30
_MIN_STORE_ROWS = 512
_SHARING_WINDOWS = 2  # whose runs are remembered


@dataclasses.dataclass(eq=False, kw_only=True)
class Tile:
    """Bases that are encoded in one piece, wherever they lie."""

    codes: np.ndarray  # uint8 (128 T + 2 margins,)
    rows: np.ndarray  # int32 (T,): where its blocks are in the store, or ABSENT
    trunk: Any = None  # (T, C) on the device, once it is encoded


class Run(NamedTuple):
    """A tile in its place in a window."""

    first_bin: int
    tile: Tile

    @classmethod
    def cut(cls, padded: np.ndarray, first_bin: int, bins: int) -> "Run":
        """From a window's codes with margins."""
        start = first_bin * TRUNK_BIN_BP
        codes = padded[start : start + bins * TRUNK_BIN_BP + 2 * ENCODER_MARGIN_BP]
        return cls(first_bin, Tile(codes=codes, rows=np.full(bins, ABSENT)))


@dataclasses.dataclass(eq=False, kw_only=True)
class EncodedWindow:
    """What the encoder makes of a window."""

    codes: np.ndarray  # uint8 (S,)
    runs: list[Run]
    owner: np.ndarray  # int (N,): the run whose numbers each bin has
    trunk: Any = None  # (N, C) on the device, without the organism's embedding

    def rows(self) -> np.ndarray:
        """Where the block of each bin is in the store, or ABSENT: int32 (N,)."""
        rows = np.full(len(self.owner), ABSENT)
        for run, own in self.by_run(np.arange(len(self.owner))):
            rows[own] = run.tile.rows[own - run.first_bin]
        return rows

    def by_run(self, bins: np.ndarray) -> Iterator[tuple[Run, np.ndarray]]:
        """The runs that own any of `bins`, which are in the window, and their own among them."""
        owner = self.owner[bins]
        for index in np.unique(owner):
            yield self.runs[index], bins[owner == index]


class WindowEncoder:
    """Encodes windows of one width.

    Args:
        network: whose encoder it is.
        window_bins: N.
    """

    def __init__(self, network: AlphaGenome, window_bins: int) -> None:
        graph, self._state = nnx.split(network)
        self._window_bins = window_bins
        self._encode = jax.jit(functools.partial(_encode, graph, window_bins), donate_argnums=1)
        self._shared: collections.OrderedDict[tuple, Tile] = collections.OrderedDict()
        self.store = _create_store(network, window_bins)

    @property
    def max_kept_bins(self) -> int:
        """How many bins of a window `keep` can be asked for; the rest is room for other alternates."""
        return self.store.max_rows // 2

    def encode_reference(self, codes: np.ndarray, bins: np.ndarray) -> EncodedWindow:
        """A window of the reference; blocks of `bins` are kept as far as there is room."""
        padded, last = _pad(codes), self._window_bins - RUN_BINS
        runs = [self._share(Run.cut(padded, first, RUN_BINS)) for first in [*range(0, last, RUN_BINS), last]]
        owner = np.minimum(np.arange(self._window_bins) // RUN_BINS, len(runs) - 1)
        window = EncodedWindow(codes=codes, runs=runs, owner=owner)
        self._encode_runs(window, bins, room=self.store.free)
        rest = self._window_bins - (len(runs) - 1) * RUN_BINS
        *before, final = [run.tile.trunk for run in runs]
        window.trunk = jnp.concatenate([*before, final[-rest:]])
        return window

    def encode_alternate(
        self, codes: np.ndarray, reference: EncodedWindow, bins: np.ndarray
    ) -> EncodedWindow:
        """A window of the reference's place; what they have in common is not computed again."""
        padded, owner, runs = _pad(codes), reference.owner.copy(), list(reference.runs)
        for first, end in _stretches(_changed_bins(reference.codes, codes)):
            while first < end:
                size = PATCH_BINS if end - first < _PATCHED_BINS else RUN_BINS
                owner[first : min(first + size, end)] = len(runs)
                runs.append(Run.cut(padded, min(first, self._window_bins - size), size))
                first += size
        window = EncodedWindow(codes=codes, runs=runs, owner=owner)
        self._encode_runs(window, bins, room=max(0, self.store.free - self.max_kept_bins))
        window.trunk = reference.trunk
        for index, run in enumerate(runs[len(reference.runs) :], start=len(reference.runs)):
            own = np.flatnonzero(owner == index)
            window.trunk = _place(window.trunk, run.tile.trunk, run.first_bin, own[0], own[-1])
        return window

    def keep(self, window: EncodedWindow, bins: np.ndarray) -> None:
        """Makes the blocks of `bins`, at most `max_kept_bins`, be in the store."""
        missing = bins[window.rows()[bins] == ABSENT]
        if len(missing) > self.store.free:
            self._make_room(window, bins)
        unfilled = len(missing)
        for run, own in window.by_run(missing):
            # Whoever comes back to a tile is likely to come again, for blocks beside those.
            spare = self.store.free - unfilled
            beside = np.setdiff1d(np.flatnonzero(run.tile.rows == ABSENT), own - run.first_bin)[:spare]
            self._encode_run(run, np.append(own - run.first_bin, beside))
            unfilled -= len(own)

    def release(self, window: EncodedWindow, reference: EncodedWindow) -> None:
        """Gives back the blocks that an alternate has for itself."""
        for run in window.runs[len(reference.runs) :]:
            self._drop(run.tile, np.arange(len(run.tile.rows)))

    def _share(self, run: Run) -> Run:
        """The same run, of a tile that has these bases already, as far from the window's ends, if there is one."""
        after = self._window_bins - run.first_bin - len(run.tile.rows)
        key = (min(run.first_bin, _MARGIN_BINS), min(after, _MARGIN_BINS), run.tile.codes.tobytes())
        tile = self._shared.setdefault(key, run.tile)
        self._shared.move_to_end(key)
        while len(self._shared) > _SHARING_WINDOWS * -(-self._window_bins // RUN_BINS):
            _, oldest = self._shared.popitem(last=False)
            self._drop(oldest, np.arange(len(oldest.rows)))
        return run._replace(tile=tile)

    def _encode_runs(self, window: EncodedWindow, bins: np.ndarray, *, room: int) -> None:
        """Encodes the runs that have not been; keeps blocks of `bins` in as many rows as `room`."""
        wanted = np.zeros(self._window_bins, bool)
        wanted[bins] = True
        for index, run in enumerate(window.runs):
            if run.tile.trunk is None:
                own = np.flatnonzero(wanted & (window.owner == index))[:room]
                self._encode_run(run, own - run.first_bin)
                room -= len(own)

    def _encode_run(self, run: Run, kept: np.ndarray) -> None:
        """Encodes a run and keeps the blocks of some of its bins, counted from its start, that are not kept yet."""
        tile, size = run.tile, len(run.tile.rows)
        kept = kept[tile.rows[kept] == ABSENT]
        if tile.trunk is not None and not len(kept):
            return
        tile.rows[kept] = self.store.take(len(kept))
        index, rows = np.zeros(size, np.int32), np.full(size, ABSENT)
        index[: len(kept)], rows[: len(kept)] = kept, tile.rows[kept]
        tile.trunk, self.store.arrays = self._encode(
            self._state, self.store.arrays, tile.codes, np.int32(run.first_bin), index, rows, len(kept)
        )

    def _make_room(self, window: EncodedWindow, bins: np.ndarray) -> None:
        """Drops the blocks of all tiles but those that `bins` of this window need."""
        tiles = {id(tile): tile for tile in [*self._shared.values(), *(run.tile for run in window.runs)]}
        needed = {key: np.zeros(len(tile.rows), bool) for key, tile in tiles.items()}
        for run, own in window.by_run(bins):
            needed[id(run.tile)][own - run.first_bin] = True
        for key, tile in tiles.items():
            self._drop(tile, np.flatnonzero(~needed[key]))

    def _drop(self, tile: Tile, index: np.ndarray) -> None:
        self.store.give_back(tile.rows[index])
        tile.rows[index] = ABSENT


def _create_store(network: AlphaGenome, window_bins: int) -> BlockStore:
    config = network.config
    shapes = [
        (positions, config.channels + level * config.channel_step)
        for level, positions in enumerate(SKIP_POSITIONS)
    ]
    dtype = network.encoder.embedder.conv.kernel.dtype
    affordable = max(_STORE_BYTES // block_bytes(shapes, dtype), _MIN_STORE_ROWS)
    rows = min(affordable, 2 * window_bins + RUN_BINS)
    return BlockStore(shapes, dtype, rows=rows, max_rows=rows)


def _pad(codes: np.ndarray) -> np.ndarray:
    return np.pad(codes, ENCODER_MARGIN_BP, constant_values=UNKNOWN)


def _changed_bins(reference: np.ndarray, alternate: np.ndarray) -> np.ndarray:
    """bool (N,): the bins of the trunk that hang on a base that differs."""
    bins = len(reference) // TRUNK_BIN_BP
    differs = np.flatnonzero(reference != alternate)
    firsts = -(-(differs - ENCODER_MARGIN_BP - TRUNK_BIN_BP + 1) // TRUNK_BIN_BP)
    ends = (differs + ENCODER_MARGIN_BP) // TRUNK_BIN_BP + 1
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
    stored: tuple[jax.Array, ...],
    codes: jax.Array,
    first_bin: jax.Array,
    kept: jax.Array,
    rows: jax.Array,
    count: jax.Array,
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    """A run's trunk (T, C), and the store with its first `count` kept blocks, `kept` (T,), in `rows` (T,)."""
    network = nnx.merge(graph, state)
    trunk, skips = encode_tiles(network.encoder, codes[None], first_bin[None], window_bins=window_bins)
    at_a_time = _PROJECTED_BINS[len(kept)]

    def project(chunk: jax.Array, stored: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        bins, to = (jax.lax.dynamic_slice_in_dim(x, chunk * at_a_time, at_a_time) for x in (kept, rows))
        return tuple(
            store.at[to].set(project_skip(network.decoder, skip[0, bins], level=level), mode="drop")
            for level, (store, skip) in enumerate(zip(stored, skips, strict=True))
        )

    return trunk[0], jax.lax.fori_loop(0, -(-count // at_a_time), project, stored)


@jax.jit
def _place(
    trunk: jax.Array, piece: jax.Array, first_bin: jax.Array, own_first: jax.Array, own_last: jax.Array
) -> jax.Array:
    """`trunk` (N, C) with the rows of `piece` (T, C) that are its own."""
    bins = first_bin + jnp.arange(len(piece))
    own = (bins >= own_first) & (bins <= own_last)
    return trunk.at[jnp.where(own, bins, len(trunk))].set(piece, mode="drop")
