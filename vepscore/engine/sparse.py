"""The sparse engine: the network evaluated where scorers read, and nowhere else.

The encoder runs over the reference's window once and, for an alternate, where its bases change something. The tower
runs once per window of an allele, over the whole window, since attention is global. The decoder runs on tiles that
cover the positions read, for each window. What the window of the last variant has in common with the next one's is
kept.

A window on the minus strand is given to the network as its reverse complement; see `vepscore.engine.strand`.

Axes: S bp, N bins of 128 bp, M bins of 2048 bp, B tiles, T bins of a tile, P positions read, R rows, C channels.
"""

import collections
import dataclasses
import functools
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from vepscore.contract import Scorer
from vepscore.engine.decoding import Undecoded, WindowDecoder, split_bins, trunk_bins, with_margins
from vepscore.engine.encoding import EncodedWindow, WindowEncoder
from vepscore.engine.pages import ABSENT, read_blocks
from vepscore.engine.preparer import ReadyAllele
from vepscore.engine.scoring import (
    AllelePlan,
    AlleleScores,
    Group,
    NotFiniteError,
    Scoring,
    Signals,
    join_pairs,
    plan_allele,
)
from vepscore.engine.settings import fixed_settings
from vepscore.genome.alignment import choose_right_bins
from vepscore.genome.windows import reverse_complement
from vepscore.model.checkpoint import LOADED_ORGANISM, Checkpoint
from vepscore.model.config import TRUNK_BIN_BP
from vepscore.model.network import AlphaGenome
from vepscore.model.pointwise import use_pointwise_convolutions
from vepscore.model.sharding import POSITIONS, position_mesh, run_tower_sharded
from vepscore.model.winograd import use_winograd
from vepscore.outputs import PAIR_BIN_BP, Output

_KEPT_WINDOWS = 2  # of the reference
_ASKED_SHARES = (4, 2)  # of an alternate's bins, which the tower's last layer may be run for
_REMEMBERED_BYTES = 1 << 28  # of the reference's signals


class SparseReader(NamedTuple):
    """The embeddings of an allele's windows, W of them end to end, at the bins that were decoded; NaN elsewhere."""

    decoded: Any  # (R, 128, C)
    coarse: Any  # (R, 2 C): what the embedding at 128 bp adds to that at 1 bp
    rows: Any  # int32 (W N,): the rows that the bins are in
    trunk: Any  # (W N, C trunk), after the tower; 0 where it was not asked for
    pair: Any  # (M, M, F)

    @property
    def width_bp(self) -> int:
        """S."""
        return len(self.pair) * PAIR_BIN_BP

    def read(self, network: Any, organism: jax.Array, output: Output, index: jax.Array) -> jax.Array:
        """The embeddings that `output` reads, at its bins `index`."""
        match output.resolution_bp:
            case 1:
                row = self.rows[index // TRUNK_BIN_BP]
                x = read_blocks(self.decoded, row, index % TRUNK_BIN_BP)
                return network.embedder_1.combine(x, organism, read_blocks(self.coarse, row))
            case 128:
                return network.embedder_128(self.trunk[index], organism)
            case _:
                return network.embedder_pair.rows(self.pair, index, organism)


@dataclasses.dataclass(eq=False, kw_only=True)
class _Window:
    """One allele's window, as far as it has been computed."""

    encoded: EncodedWindow
    rows: np.ndarray  # int32 (N,): where its decoded bins are, or ABSENT
    asked: np.ndarray | None = None  # int (Q,): the bins that the trunk is read in, ascending; None for all
    trunk: Any = None  # (N, C), after the tower; 0 in other bins
    pair: Any = None  # (M, M, F)
    signals: collections.OrderedDict = dataclasses.field(default_factory=collections.OrderedDict)


class SparseEngine:
    """Scores alleles with one checkpoint.

    Args:
        checkpoint: the network and its tracks.
        scorers: which scores to make.
        rotary_dtype: dtype of the tower's rotary tables, "float32" or "bfloat16".
        batch: alternates of one reference window that go through the tower together.
        strand: of the windows that the network reads, "+" or "-"; scores are about the plus strand's coordinates.
        device: where it has its parameters and its memory, and computes; None for where the parameters are.
        tower_devices: over which each window's tower is divided, by position; None to run it where all else runs.

    Raises:
        CheckpointError: on "-", the tracks of an output that is read do not come in pairs of strands.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        scorers: Sequence[Scorer],
        *,
        rotary_dtype: str = "float32",
        batch: int = 1,
        strand: str = "+",
        device: jax.Device | None = None,
        tower_devices: Sequence[jax.Device] | None = None,
    ) -> None:
        self._reverse = {"+": False, "-": True}[strand]
        if tower_devices is not None and device is None:
            device = tower_devices[0]
        network = _put(with_fast_products(checkpoint.network), device)
        device = network.device
        self.scorers = tuple(scorers)
        self.tracks = checkpoint.tracks
        self.batch = batch
        self._scoring = Scoring(network, self.tracks, scorers, reverse=self._reverse)
        self._network = network
        self._precision, self._device = network.dtype.name, device
        self._mesh = None if tower_devices is None else position_mesh(tower_devices)
        self._towers_at_a_time = 1 if device.platform == "cpu" else batch
        tower, tower_state = nnx.split((network.organism, network.tower))
        self._tower_state = self._over_mesh(tower_state, PartitionSpec())
        self._run_tower = jax.jit(functools.partial(_run_tower, tower, jnp.dtype(rotary_dtype), self._mesh))
        self._decoder = WindowDecoder(network, device)
        self._encoder: WindowEncoder | None = None
        self._references: collections.OrderedDict[bytes, _Window] = collections.OrderedDict()

    def score(self, alleles: Sequence[ReadyAllele]) -> list[AlleleScores]:
        """The blocks of each allele, in the order of the scorers."""
        with fixed_settings(self._precision, self._device):
            return self._score_windows(alleles)

    def _score_windows(self, alleles: Sequence[ReadyAllele]) -> list[AlleleScores]:
        results: list[AlleleScores] = []
        for _, same in itertools.groupby(alleles, lambda allele: allele.reference_codes.tobytes()):
            plans = [plan_allele(allele, self.scorers) for allele in same]
            for first in range(0, len(plans), self.batch):
                results += self._score_together(plans[first : first + self.batch])
        return results

    def clear_cache(self) -> None:
        """Forget what was computed for the windows scored so far; compiled programs and memory stay allocated."""
        for window in self._references.values():
            self._forget_decoded(window)
            self._encoder.release(window.encoded)
        self._references.clear()
        if self._encoder is not None:
            self._encoder.clear()

    def _score_together(self, plans: Sequence[AllelePlan]) -> list[AlleleScores]:
        """The blocks of alleles that have the same reference window."""
        windows = [(plan, number) for plan in plans for number in range(len(plan.allele.alternates))]
        demands = [self._alternate_demand(plan, number) for plan, number in windows]
        union = np.unique(np.concatenate([self._demand(plan) for plan in plans]))
        reference = self._reference(plans[0].allele, np.unique(np.concatenate([union, *demands])))
        alternates = [
            self._alternate(plan, number, reference, bins)
            for (plan, number), bins in zip(windows, demands, strict=True)
        ]
        if reference.pair is None:
            self._run_towers([reference], at_a_time=1)
        self._run_alternate_towers(windows, alternates)
        self._decode_bins([(reference, union), *zip(alternates, demands, strict=True)], reference)
        own = iter(alternates)
        results = [
            self._score(plan, reference, [next(own) for _ in plan.allele.alternates]) for plan in plans
        ]
        for alternate in alternates:
            self._decoder.store.give_back(alternate.rows)
        return results

    def _score(self, plan: AllelePlan, reference: _Window, alternates: Sequence[_Window]) -> AlleleScores:
        of_reference = self._reader(reference.rows, reference.trunk, reference.pair)
        of_alternate = self._alternate_reader(plan, alternates) if alternates else of_reference
        predict = functools.partial(self._predict_reference, reference, of_reference)
        try:
            return self._scoring.score(plan, of_reference, of_alternate, predict)
        except NotFiniteError as error:
            return error

    def _reader(self, rows: np.ndarray, trunk: jax.Array, pair: jax.Array) -> SparseReader:
        # A copy: the window's rows change while the device may still be reading.
        rows = jnp.array(rows, device=self._device)
        return SparseReader(*self._decoder.store.arrays, rows, trunk, pair)

    def _alternate_reader(self, plan: AllelePlan, windows: Sequence[_Window]) -> SparseReader:
        if len(windows) == 1:
            return self._reader(windows[0].rows, windows[0].trunk, windows[0].pair)
        left, right = windows
        pair = left.pair
        if not plan.allele.site.joins_windows:
            pair = join_pairs(left.pair, right.pair, plan, reverse=self._reverse)
        trunk = jnp.concatenate([left.trunk, right.trunk])
        return self._reader(np.concatenate([left.rows, right.rows]), trunk, pair)

    def _predict_reference(self, reference: _Window, reader: SparseReader, group: Group) -> Signals:
        """The signals of a group, which the next variant in the same window may read again."""
        known, key = reference.signals, (group.outputs, group.places.reference.tobytes())
        if key not in known:
            known[key] = self._scoring.predict(group, reader, alternate=False)
        known.move_to_end(key)
        while len(known) > 1 and sum(map(_bytes_of, known.values())) > _REMEMBERED_BYTES:
            known.popitem(last=False)
        return known[key]

    def _demand(self, plan: AllelePlan) -> np.ndarray:
        """Return the reference's bins to decode for one allele, as the network sees them: int (K,), ascending."""
        return self._decoded_bins(
            plan, [group.positions() for group in plan.groups if group.resolution_bp == 1]
        )

    def _alternate_demand(self, plan: AllelePlan, number: int) -> np.ndarray:
        """Return the same for one of the alternate's windows."""
        return self._decoded_bins(plan, _read_in_window(plan, number, resolution_bp=1))

    def _decoded_bins(self, plan: AllelePlan, read: Sequence[np.ndarray]) -> np.ndarray:
        positions = np.concatenate([np.zeros(0, np.int32), *read])
        if self._reverse:
            last = len(plan.allele.reference_codes) - 1
            # Cuts between bases are found one base before: see `vepscore.engine.strand`.
            positions = np.minimum(np.append(last - positions, last - positions + 1), last)
        return np.unique(positions // TRUNK_BIN_BP)

    def _codes(self, codes: np.ndarray) -> np.ndarray:
        return reverse_complement(codes) if self._reverse else codes

    def _reference(self, allele: ReadyAllele, bins: np.ndarray) -> _Window:
        """The allele's reference window, which may be known already; of others only the tower's work is kept."""
        key = allele.reference_codes.tobytes()
        window = self._references.pop(key, None)
        for other in self._references.values():
            self._forget_decoded(other)
        while len(self._references) >= _KEPT_WINDOWS:
            _, oldest = self._references.popitem(last=False)
            self._encoder.release(oldest.encoded)
        if window is None:
            codes = self._codes(allele.reference_codes)
            if self._encoder is None:
                self._encoder = WindowEncoder(self._network, len(codes) // TRUNK_BIN_BP, self._device)
            encoded = self._encoder.encode_reference(codes, with_margins(bins, len(codes) // TRUNK_BIN_BP))
            window = _Window(encoded=encoded, rows=np.full(len(encoded.owner), ABSENT))
        self._references[key] = window
        return window

    def _alternate(self, plan: AllelePlan, number: int, reference: _Window, bins: np.ndarray) -> _Window:
        read = with_margins(bins, len(reference.rows))
        own = None
        if plan.allele.site.joins_windows:
            own = self._is_right(plan) == bool(number)
            own[np.concatenate(read)] = True
        encoded = self._encoder.encode_alternate(
            self._codes(plan.allele.alternates[number]), reference.encoded, read, own
        )
        rows = np.full(len(encoded.owner), ABSENT)
        return _Window(encoded=encoded, rows=rows, asked=self._asked(plan, number, bins, len(rows)))

    def _asked(self, plan: AllelePlan, number: int, bins: np.ndarray, window_bins: int) -> np.ndarray:
        """Return the bins that the trunk of an alternate is read in, for the decoder and by the heads at 128 bp."""
        read = _read_in_window(plan, number, resolution_bp=TRUNK_BIN_BP)
        coarse = np.concatenate([np.zeros(0, np.int32), *read])
        return np.union1d(
            trunk_bins(bins, window_bins), window_bins - 1 - coarse if self._reverse else coarse
        )

    def _is_right(self, plan: AllelePlan) -> np.ndarray:
        """Return which bins of the trunk are the right-anchored window's, as the network sees them: bool (N,)."""
        site = plan.allele.site
        is_right = choose_right_bins(TRUNK_BIN_BP, site.allele, site.window)
        return is_right[::-1].copy() if self._reverse else is_right

    def _run_alternate_towers(
        self, windows: Sequence[tuple[AllelePlan, int]], alternates: Sequence[_Window]
    ) -> None:
        """Run the tower over the alternates; two windows that are joined have one trunk."""
        single, joined = [], []
        for (plan, number), window in zip(windows, alternates, strict=True):
            if number == 1 and plan.allele.site.joins_windows:
                left = single[-1]
                left.encoded.trunk = _join(self._is_right(plan), left.encoded.trunk, window.encoded.trunk)
                left.asked = np.union1d(left.asked, window.asked)
                joined.append((left, window))
            else:
                single.append(window)
        self._run_towers(single, at_a_time=self._towers_at_a_time)
        for left, right in joined:
            right.trunk, right.pair = left.trunk, left.pair

    def _forget_decoded(self, window: _Window) -> None:
        self._decoder.store.give_back(window.rows)
        window.rows[:] = ABSENT
        window.signals.clear()

    def _run_towers(self, windows: Sequence[_Window], *, at_a_time: int) -> None:
        """Runs the tower over windows, so many in a call; only one where not all bins are asked for.

        The last call is filled up, and the reference goes alone: how many go together may change how sums round, and
        must not hang on what was scored before.
        """
        for first in range(0, len(windows), at_a_time):
            chunk = windows[first : first + at_a_time]
            trunks = [window.encoded.trunk for window in chunk]
            trunks += trunks[-1:] * (at_a_time - len(chunk))
            trunks = self._over_mesh(trunks, PartitionSpec(POSITIONS))
            asked = None
            if self._towers_at_a_time == 1 and self._mesh is None and chunk[0].asked is not None:
                asked = _fill_up(chunk[0].asked, len(chunk[0].rows))
            towers = self._run_tower(self._tower_state, trunks, asked)
            if self._mesh is not None:
                towers = jax.device_put(towers, self._device)
            for window, (trunk, pair) in zip(chunk, towers, strict=False):
                window.trunk, window.pair = trunk, pair

    def _over_mesh(self, tree: Any, spec: PartitionSpec) -> Any:
        """The same arrays, on the devices that divide the tower, where there are any."""
        return tree if self._mesh is None else jax.device_put(tree, NamedSharding(self._mesh, spec))

    def _decode_bins(self, demands: Sequence[tuple[_Window, np.ndarray]], reference: _Window) -> None:
        """Decodes the bins of each window that are not decoded yet."""
        missing = [bins[window.rows[bins] == ABSENT] for window, bins in demands]
        for first, end in split_bins(np.unique(np.concatenate(missing)), self._encoder.max_kept_bins):
            for (window, demand), bins in zip(demands, missing, strict=True):
                own = bins[(bins >= first) & (bins < end)]
                if len(own):
                    self._encoder.keep(window.encoded, with_margins(own, len(window.rows)))
                    undecoded = Undecoded(window.trunk, window.encoded, self._encoder.skips, window.rows)
                    if window is reference:
                        self._decoder.decode_ahead(undecoded, own)
                    else:
                        self._decoder.decode(undecoded, own, demand)
                if window is not reference:
                    self._encoder.release(window.encoded, reference.encoded)


def with_fast_products(network: AlphaGenome) -> AlphaGenome:
    """The network, or a copy with the convolutions and linear layers that the machine is fast at."""
    if network.device.platform != "cpu" or network.dtype != jnp.float32:
        return network
    return use_pointwise_convolutions(use_winograd(network))


def _fill_up(asked: np.ndarray, window_bins: int) -> np.ndarray | None:
    """Return the bins, the last repeated to fill up one of a few fractions of the window; None if they are most."""
    for share in _ASKED_SHARES:
        if len(asked) <= window_bins // share:
            last = asked[-1:] if len(asked) else [0]
            return np.append(asked, np.repeat(last, window_bins // share - len(asked))).astype(np.int32)
    return None


@jax.jit
def _join(is_right: jax.Array, left: jax.Array, right: jax.Array) -> jax.Array:
    """Return a trunk (N, C) with the bins of two."""
    return jnp.where(is_right[:, None], right, left)


def _read_in_window(plan: AllelePlan, number: int, *, resolution_bp: int) -> list[np.ndarray]:
    """Return the bins of this resolution that are read of one of the alternate's windows, by group."""
    width_bp = plan.allele.site.window.width_bp
    groups = (group for group in plan.groups if group.resolution_bp == resolution_bp)
    return [group.alternate_positions(number, width_bp) for group in groups]


def _bytes_of(signals: Signals) -> int:
    return sum(signal.nbytes for signal in signals.values())


def _put(network: AlphaGenome, device: jax.Device | None) -> AlphaGenome:
    """The network with its parameters on the device; None leaves them where they are."""
    graph, state = nnx.split(network)
    return network if device is None else nnx.merge(graph, jax.device_put(state, device))


def _run_tower(
    graph: nnx.GraphDef,
    rotary_dtype: jnp.dtype,
    mesh: Mesh | None,
    state: nnx.State,
    trunks: Sequence[jax.Array],
    asked: jax.Array | None,
) -> list[tuple[jax.Array, jax.Array]]:
    """Encoded trunks (N, C) to the trunk (N, C) and the pair representation (M, M, F) of each.

    Where bins (Q,) are asked for, the trunk is 0 in all others.
    """
    organism, tower = nnx.merge(graph, state)
    x = jnp.stack(trunks) + organism(LOADED_ORGANISM)
    if mesh is not None:
        trunk, pair = run_tower_sharded(tower, x, rotary_dtype=rotary_dtype, mesh=mesh)
    else:
        trunk, pair = tower(x, rotary_dtype=rotary_dtype, query_bins=asked)
    if asked is not None:
        trunk = jnp.zeros_like(x).at[:, asked].set(trunk)
    return [(trunk[i], pair[i]) for i in range(len(trunks))]
