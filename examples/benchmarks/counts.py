"""Count the floating-point operations of a network, from its sizes alone, with direct convolutions.

Pointwise operations are excluded. Axes: S bp, N bins of 128 bp, M bins of 2048 bp, P positions, C channels, T tracks,
K junction sites per class.
"""

import dataclasses
from collections.abc import Mapping

from vepscore.networks.alphagenome.config import POOLINGS, TRUNK_BIN_BP, ModelConfig, scored_resolution_bp
from vepscore.outputs import PAIR_BIN_BP, SPLICE_CLASSES, Output, Tracks

_WIDTH = 5  # width of all convolutions except the first
_REACH = _WIDTH // 2
_DNA_WIDTH = 15
_MARGIN_OF_BLOCK = 4 * _REACH  # two convolutions, at both ends


@dataclasses.dataclass(frozen=True)
class Counts:
    """The parts of one network, with the tracks that are read."""

    config: ModelConfig
    tracks: Mapping[Output, Tracks]

    def encoder(self, bins: int, *, alone: bool) -> float:
        """Return the count of the trunk for some bins; `alone`, with the margins of a separate tile."""
        margin = _MARGIN_OF_BLOCK if alone else 0
        length, flop = 2 * bins, 0.0
        for level in range(POOLINGS - 1, 0, -1):
            before, after = self._channels(level - 1), self._channels(level)
            flop += _convolution(length + margin // 2, before, after) + _convolution(length, after, after)
            length = 2 * (length + margin)
        first = self._channels(0)
        positions = length + margin // 2
        return flop + _convolution(length, first, first) + 2 * positions * _DNA_WIDTH * 4 * first

    def skips(self, bins: int) -> float:
        """Return the count of the skip projections of all levels."""
        per_bin = sum((TRUNK_BIN_BP >> level) * self._channels(level) ** 2 for level in range(POOLINGS))
        return 2.0 * bins * per_bin

    def decoder(self, bins: int, *, alone: bool) -> float:
        """Return the count of decoding some bins, without skips; `alone`, with the margins of a separate tile."""
        flop, margin = 0.0, 0
        for level in range(POOLINGS):
            positions = bins * (TRUNK_BIN_BP >> level)
            before, after = self._channels(min(level + 1, POOLINGS - 1)), self._channels(level)
            flop += _convolution(positions + 2 * margin, after, after)
            margin = -(-(margin + _REACH) // 2) if alone else 0
            flop += _convolution(positions // 2 + 2 * margin, before, after)
            margin = margin + _REACH if alone else 0
        return flop

    def coarse(self, bins: int) -> float:
        """Return what the embedding at 128 bp adds to that at 1 bp."""
        return self.embedding_128(bins) + _product(
            bins, 2 * self.config.trunk_channels, 2 * self._channels(0)
        )

    def embedding_128(self, bins: int) -> float:
        """Return the count of the embedding at 128 bp."""
        return _product(bins, self.config.trunk_channels, 2 * self.config.trunk_channels)

    def embedding_1(self, positions: int) -> float:
        """Return the count of the embedding at 1 bp, without what the coarse one adds."""
        return _product(positions, self._channels(0), 2 * self._channels(0))

    def tower(self, width_bp: int, *, asked: int | None = None) -> float:
        """Return the count of all layers, for one window; the last layer for `asked` bins only."""
        layers = self.config.tower_layers
        bins, pairs = width_bp // TRUNK_BIN_BP, width_bp // PAIR_BIN_BP
        last = self._layer(bins, pairs, queries=bins if asked is None else asked)
        whole = (layers - 1) * self._layer(bins, pairs, queries=bins)
        return whole + last + (layers + 1) // 2 * self._pair_update(pairs)

    def window(self, width_bp: int) -> float:
        """Return the count of a whole pass, from bases to all embeddings."""
        bins = width_bp // TRUNK_BIN_BP
        ends = self.encoder(bins, alone=False) + self.skips(bins) + self.decoder(bins, alone=False)
        return ends + self.tower(width_bp) + self.coarse(bins) + self.embedding_1(width_bp)

    def head(self, output: Output, positions: int, *, width_bp: int) -> float:
        """Return the count of an output's predictions from its embeddings."""
        tracks = len(self.tracks[output])
        match scored_resolution_bp(output):
            case 128:
                return _product(positions, 2 * self.config.trunk_channels, tracks)
            case 1:
                classes = self.config.heads[output] if output is Output.SPLICE_SITES else tracks
                return _product(positions, 2 * self._channels(0), classes)
            case _:
                return _product(positions * (width_bp // PAIR_BIN_BP), self.config.pair_channels, tracks)

    def junctions(self, sites: int, strands: int) -> float:
        """Return the count of junctions between some sites per class, for one allele."""
        config, tissues = self.config, len(self.tracks[Output.SPLICE_JUNCTIONS])
        hidden = _product(len(SPLICE_CLASSES) * sites, 2 * config.channels, config.junction_channels)
        return hidden + strands * tissues * _product(sites, config.junction_channels, sites)

    def _channels(self, level: int) -> int:
        """Return the count of the skip of a level: 0 at 1 bp, 6 at 64 bp, which the trunk has as well."""
        return self.config.channels + level * self.config.channel_step

    def _layer(self, bins: int, pairs: int, *, queries: int) -> float:
        config, channels = self.config, self.config.trunk_channels
        heads, key, value = config.attention_heads, config.key_channels, config.value_channels
        projections = (
            _product(queries, channels, heads * key)
            + _product(bins, channels, key + value)
            + _product(queries, heads * value, channels)
        )
        attention = _product(queries, heads * (key + value), bins)
        mlp = 2 * _product(queries, channels, 2 * channels)
        return projections + attention + mlp + _product(pairs**2, config.pair_channels, heads)

    def _pair_update(self, pairs: int) -> float:
        config, channels, features = self.config, self.config.trunk_channels, self.config.pair_channels
        size = config.pair_heads * config.pair_key_channels
        projections = 2 * _product(pairs, channels, size + features)
        positions = _product(2 * pairs, 2 * config.position_features, size)
        dots = _product(pairs, size, pairs) + 2 * _product(pairs, size, 2 * pairs)
        mixed = _product(pairs**2, config.pair_heads, features)
        rows = _product(pairs**2, features, 3 * features) + 2 * _product(pairs**2, features, pairs)
        mlp = 2 * _product(pairs**2, features, 2 * features)
        return projections + positions + dots + mixed + rows + mlp


def _convolution(positions: int, before: int, after: int) -> float:
    return _WIDTH * _product(positions, before, after)


def _product(rows: int, inner: int, columns: int) -> float:
    return 2.0 * rows * inner * columns
