"""The sparse predictor: run the network only at the positions that scorers read.

The encoder runs over the reference's window once and, for an alternate, where its bases change something. The tower
runs once per window of an allele, over the whole window, because attention is global. The decoder runs on tiles that
cover the positions read in each window. What the next variant's window has in common with the last one's is cached.

A window on the minus strand is given to the network as its reverse complement; see `vepscore.engine.strand`.

Axes in shapes: `window` bins of 128 bp, `pairs` bins of 2048 bp, `rows` of a page store, `channels`.
"""

import collections
import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int32, UInt8

from vepscore.genome.windows import reverse_complement
from vepscore.model.allele_plan import AllelePlan, ReadyAllele
from vepscore.model.network import LOADED_ORGANISM
from vepscore.model.pages import ABSENT, read_pages
from vepscore.model.predictor import Readers
from vepscore.networks.alphagenome.config import TRUNK_BIN_BP, scored_resolution_bp
from vepscore.networks.alphagenome.decoding import (
    DecoderInput,
    WindowDecoder,
    bins_with_margins,
    split_bins,
    trunk_bins,
)
from vepscore.networks.alphagenome.encoding import EncodedWindow, WindowEncoder
from vepscore.networks.alphagenome.network import AlphaGenome
from vepscore.networks.alphagenome.seam import join_pairs, right_bins
from vepscore.networks.alphagenome.window_tower import TowerInput, TowerOutput, WindowTower
from vepscore.outputs import PAIR_BIN_BP, Output

_CACHED_WINDOWS = 2  # reference windows kept in the cache

Bins = Int[np.ndarray, " _"]  # ascending


class SparseReader(NamedTuple):
    """The embeddings of an allele's windows, end to end, at the bins that were decoded; NaN elsewhere."""

    decoded: Float[Array, "rows 128 channels"]  # pages of decoded bins
    coarse: Float[Array, "rows channels"]  # pages of what the embedding at 128 bp adds to that at 1 bp
    rows: Int32[Array, " windows"]  # of each bin's pages
    trunk: Float[Array, "windows channels"]  # the tower's output; 0 in bins that are not read
    pair: Float[Array, "pairs pairs features"]

    @property
    def width_bp(self) -> int:
        """Width of a window."""
        return len(self.pair) * PAIR_BIN_BP

    def read(
        self, network: AlphaGenome, output: Output, index: Int[Array, "*positions"]
    ) -> Float[Array, "..."]:
        """Return the embeddings that `output` reads, at its bins `index`."""
        match scored_resolution_bp(output):
            case 1:
                row = self.rows[index // TRUNK_BIN_BP]
                x = read_pages(self.decoded, row, index % TRUNK_BIN_BP)
                return network.embedder_1.combine(x, LOADED_ORGANISM, read_pages(self.coarse, row))
            case 128:
                return network.embedder_128(self.trunk[index], LOADED_ORGANISM)
            case _:
                return network.embedder_pair.rows(self.pair, index, LOADED_ORGANISM)


@dataclasses.dataclass(eq=False, kw_only=True)
class _Window:
    """A window of an allele, after the tower."""

    encoded: EncodedWindow
    tower: TowerOutput
    rows: Int32[np.ndarray, " window"]  # of decoded bins in the decoder's store, or ABSENT


class SparsePredictor:
    """Runs the network where scorers read, and keeps what the next alleles of a window need too.

    Args:
        network: the network, with its parameters on the device.
        batch: number of alternates of one reference window that go through the tower together.
        reverse: give the network the windows' minus strand.
        tower_devices: devices over which each window's tower is divided, by position; None to run it where the
            parameters are.
    """

    def __init__(
        self,
        network: AlphaGenome,
        *,
        batch: int,
        reverse: bool,
        tower_devices: Sequence[jax.Device] | None = None,
    ) -> None:
        self._network, self._batch, self._reverse = network, batch, reverse
        self._device = network.device
        self._tower = WindowTower(network, batch=batch, devices=tower_devices)
        self._decoder = WindowDecoder(network, self._device)
        self._encoder: WindowEncoder | None = None
        self._references: collections.OrderedDict[bytes, _Window] = collections.OrderedDict()

    def read(self, plans: Sequence[AllelePlan]) -> Iterator[Readers]:
        """Yield the readers of each allele, in order; they can be used until the next ones are taken."""
        for _, same in itertools.groupby(plans, lambda plan: plan.allele.reference_codes.tobytes()):
            together = list(same)
            for first in range(0, len(together), self._batch):
                yield from self._read_together(together[first : first + self._batch])

    def clear_cache(self) -> None:
        """Forget what was computed for earlier windows; compiled programs and memory stay allocated."""
        if self._encoder is None:
            return
        for window in self._references.values():
            self._forget_decoded(window)
            self._encoder.release(window.encoded)
        self._references.clear()
        self._encoder.clear()

    def _read_together(self, plans: Sequence[AllelePlan]) -> Iterator[Readers]:
        """Yield the readers of alleles that have the same reference window."""
        windows = [(plan, number) for plan in plans for number in range(len(plan.allele.alternates))]
        demands = [self._alternate_bins(plan, number) for plan, number in windows]
        union = np.unique(np.concatenate([self._reference_bins(plan) for plan in plans]))
        encoder = self._open_encoder(plans[0].allele)
        bins = np.unique(np.concatenate([union, *demands]))
        reference = self._reference(encoder, plans[0].allele, bins)
        encoded = [
            self._encode_alternate(encoder, plan, number, reference, bins)
            for (plan, number), bins in zip(windows, demands, strict=True)
        ]
        alternates = self._run_towers(windows, encoded, demands)
        self._decode_bins(encoder, [(reference, union), *zip(alternates, demands, strict=True)], reference)
        remaining = iter(alternates)
        for plan in plans:
            of_reference = self._reader(reference.rows, reference.tower)
            own = [next(remaining) for _ in plan.allele.alternates]
            of_alternate = self._alternate_reader(plan, own) if own else of_reference
            yield Readers(of_reference, of_alternate, keeps_reference=True)
        for alternate in alternates:
            self._decoder.store.release(alternate.rows)

    def _reader(self, rows: Int32[np.ndarray, " windows"], tower: TowerOutput) -> SparseReader:
        decoded, coarse = self._decoder.store.arrays
        # Copy the rows: they change while the device may still read them.
        copied = jnp.array(rows, device=self._device)
        return SparseReader(decoded, coarse, copied, tower.trunk, tower.pair)

    def _alternate_reader(self, plan: AllelePlan, windows: Sequence[_Window]) -> SparseReader:
        if len(windows) == 1:
            return self._reader(windows[0].rows, windows[0].tower)
        left, right = (window.tower for window in windows)
        pair = left.pair
        if not plan.allele.site.joins_windows:
            pair = join_pairs(left.pair, right.pair, plan, reverse=self._reverse)
        rows = np.concatenate([window.rows for window in windows])
        return self._reader(rows, TowerOutput(jnp.concatenate([left.trunk, right.trunk]), pair))

    def _reference_bins(self, plan: AllelePlan) -> Bins:
        """Return the bins of the reference to decode for one allele, as the network sees them, ascending."""
        return self._decoded_bins(
            plan, [group.reference_bins() for group in plan.groups if group.resolution_bp == 1]
        )

    def _alternate_bins(self, plan: AllelePlan, number: int) -> Bins:
        """Return the bins to decode of one of the alternate's windows, as the network sees them, ascending."""
        return self._decoded_bins(plan, _bins_in_window(plan, number, resolution_bp=1))

    def _decoded_bins(self, plan: AllelePlan, read: Sequence[Bins]) -> Bins:
        positions = np.concatenate([np.zeros(0, np.int32), *read])
        if self._reverse:
            last = len(plan.allele.reference_codes) - 1
            # Cuts between bases are found one base before: see `vepscore.engine.strand`.
            positions = np.minimum(np.append(last - positions, last - positions + 1), last)
        return np.unique(positions // TRUNK_BIN_BP)

    def _seen(self, codes: UInt8[np.ndarray, " bases"]) -> UInt8[np.ndarray, " bases"]:
        """Return the window as the network sees it."""
        return reverse_complement(codes) if self._reverse else codes

    def _open_encoder(self, allele: ReadyAllele) -> WindowEncoder:
        """Return the encoder of windows of this width, which all alleles of a run have."""
        if self._encoder is None:
            window_bins = len(allele.reference_codes) // TRUNK_BIN_BP
            self._encoder = WindowEncoder(self._network, window_bins, self._device)
        return self._encoder

    def _reference(self, encoder: WindowEncoder, allele: ReadyAllele, bins: Bins) -> _Window:
        """Return the allele's reference window, from the cache if possible; of the others keep the tower's output."""
        key = allele.reference_codes.tobytes()
        window = self._references.pop(key, None)
        for other in self._references.values():
            self._forget_decoded(other)
        while len(self._references) >= _CACHED_WINDOWS:
            _, oldest = self._references.popitem(last=False)
            encoder.release(oldest.encoded)
        if window is None:
            codes = self._seen(allele.reference_codes)
            window_bins = len(codes) // TRUNK_BIN_BP
            encoded = encoder.encode_reference(codes, bins_with_margins(bins, window_bins))
            tower = self._tower.run_reference(encoded.trunk)
            window = _Window(encoded=encoded, tower=tower, rows=np.full(window_bins, ABSENT))
        self._references[key] = window
        return window

    def _encode_alternate(
        self, encoder: WindowEncoder, plan: AllelePlan, number: int, reference: _Window, bins: Bins
    ) -> EncodedWindow:
        """Encode one of the alternate's windows; of two windows that are joined, each on its own side."""
        skips = bins_with_margins(bins, len(reference.rows))
        read = None
        if plan.allele.site.joins_windows:
            read = right_bins(plan, reverse=self._reverse) == bool(number)
            read[np.concatenate(skips)] = True
        return encoder.encode_alternate(
            self._seen(plan.allele.alternates[number]), reference.encoded, skips, read
        )

    def _query_bins(self, plan: AllelePlan, number: int, bins: Bins, window_bins: int) -> Bins:
        """Return the bins in which an alternate's trunk is read, by the decoder and by the heads at 128 bp."""
        read = _bins_in_window(plan, number, resolution_bp=TRUNK_BIN_BP)
        coarse = np.concatenate([np.zeros(0, np.int32), *read])
        return np.union1d(
            trunk_bins(bins, window_bins), window_bins - 1 - coarse if self._reverse else coarse
        )

    def _run_towers(
        self,
        windows: Sequence[tuple[AllelePlan, int]],
        encoded: Sequence[EncodedWindow],
        demands: Sequence[Bins],
    ) -> list[_Window]:
        """Run the tower over the alternates' windows; two windows that are joined have one trunk."""
        inputs: list[TowerInput] = []
        number_of: list[int] = []  # of each window's input
        for (plan, number), window, bins in zip(windows, encoded, demands, strict=True):
            query_bins = self._query_bins(plan, number, bins, len(window.trunk))
            if number == 1 and plan.allele.site.joins_windows:
                left = inputs.pop()
                trunk = _join(right_bins(plan, reverse=self._reverse), left.trunk, window.trunk)
                inputs.append(TowerInput(trunk, np.union1d(left.query_bins, query_bins)))
            else:
                inputs.append(TowerInput(window.trunk, query_bins))
            number_of.append(len(inputs) - 1)
        outputs = self._tower.run_alternates(inputs)
        return [
            _Window(encoded=window, tower=outputs[number], rows=np.full(len(window.trunk), ABSENT))
            for window, number in zip(encoded, number_of, strict=True)
        ]

    def _forget_decoded(self, window: _Window) -> None:
        self._decoder.store.release(window.rows)
        window.rows[:] = ABSENT

    def _decode_bins(
        self, encoder: WindowEncoder, demands: Sequence[tuple[_Window, Bins]], reference: _Window
    ) -> None:
        """Decode the bins of each window that are not decoded yet."""
        missing = [bins[window.rows[bins] == ABSENT] for window, bins in demands]
        for first, end in split_bins(np.unique(np.concatenate(missing)), encoder.max_kept_bins):
            for (window, demand), bins in zip(demands, missing, strict=True):
                part = bins[(bins >= first) & (bins < end)]
                if len(part):
                    encoder.keep(window.encoded, bins_with_margins(part, len(window.rows)))
                    ready = DecoderInput(
                        window.tower.trunk, window.encoded.segmentation, encoder.skips, window.rows
                    )
                    if window is reference:
                        self._decoder.decode_ahead(ready, part)
                    else:
                        self._decoder.decode(ready, part, demand)
                if window is not reference:
                    encoder.release(window.encoded, reference.encoded)


@jax.jit
def _join(
    is_right: Bool[Array, " window"],
    left: Float[Array, "window channels"],
    right: Float[Array, "window channels"],
) -> Float[Array, "window channels"]:
    """Return a trunk with bins of both windows."""
    return jnp.where(is_right[:, None], right, left)


def _bins_in_window(plan: AllelePlan, number: int, *, resolution_bp: int) -> list[Bins]:
    """Return the bins of this resolution that are read in one of the alternate's windows, by group."""
    width_bp = plan.allele.site.window.width_bp
    groups = (group for group in plan.groups if group.resolution_bp == resolution_bp)
    return [group.alternate_bins(number, width_bp) for group in groups]
