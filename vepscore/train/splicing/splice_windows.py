"""Windows of labeled chunks, unchanged or in pairs with changes.

Sequences are transcribed, 5′ to 3′. Axes: B windows, P predicted positions, F bases on either side that are only read.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vepscore.train.splicing.changed_sequence import (
    SEEN,
    SeenSites,
    apply_changes,
    draw_changes,
    draw_pieces,
    replace_bases,
)
from vepscore.train.splicing.label_store import Chunk
from vepscore.train.splicing.splicing_recipe import LONGEST_INDEL_BP, Changes, SpliceSampling


class LabeledWindows(NamedTuple):
    """Windows and their labels."""

    codes: np.ndarray  # uint8 (B, P + 2 · F)
    sites: np.ndarray  # float32 (B, P, 2): probabilities of donors and acceptors


class ChangedWindows(NamedTuple):
    """Windows, the same with changes, and their alignment."""

    codes: np.ndarray  # uint8 (B, P + 2 · F)
    changed: np.ndarray  # uint8 (B, P + 2 · F)
    source: np.ndarray  # int32 (B, P): predicted position that one after the changes corresponds to; -1: none


class SpliceWindows:
    """Samples windows.

    Args:
        chunks: the labeled chunks.
        labels: probabilities of donors and acceptors of each, (chunk_bp, 2).
        flank_bp: F.
    """

    def __init__(self, chunks: Sequence[Chunk], labels: Sequence[np.ndarray], flank_bp: int) -> None:
        self._chunks, self._labels, self._flank_bp = list(chunks), list(labels), flank_bp
        self._in_genes = np.flatnonzero([chunk.in_gene for chunk in chunks])
        seen = [np.flatnonzero(of_chunk.max(axis=1) > SEEN) for of_chunk in labels]
        # int64 (sites, 2): chunk, and position in it
        self._sites = np.concatenate(
            [np.stack([np.full(len(each), index), each], axis=1) for index, each in enumerate(seen)]
        )

    def sample(
        self, rng: np.random.Generator, sampling: SpliceSampling, window_bp: int, count: int
    ) -> LabeledWindows:
        """Sample windows with their labels."""
        read_bp = window_bp + 2 * self._flank_bp
        codes, labels = zip(
            *(self._draw_read(rng, sampling, window_bp, read_bp) for _ in range(count)), strict=True
        )
        return LabeledWindows(np.stack(codes), np.stack(labels).astype(np.float32))

    def sample_changed(
        self,
        rng: np.random.Generator,
        sampling: SpliceSampling,
        changes: Changes,
        window_bp: int,
        count: int,
    ) -> ChangedWindows:
        """Sample windows, and change the bases at their predicted positions."""
        windows = [self._change(rng, sampling, changes, window_bp) for _ in range(count)]
        return ChangedWindows(*map(np.stack, zip(*windows, strict=True)))

    def _change(
        self, rng: np.random.Generator, sampling: SpliceSampling, changes: Changes, window_bp: int
    ) -> ChangedWindows:
        """Return one window, without the axis B."""
        flank_bp = self._flank_bp
        width_bp = window_bp + 2 * flank_bp
        # Deletions pull in bases from behind the window.
        read_bp = width_bp + changes.count * LONGEST_INDEL_BP
        codes, labels = self._draw_read(rng, sampling, window_bp, read_bp)
        if (of_other := draw_pieces(rng, changes, read_bp)).any():
            other_codes, other_labels = self._draw_read(rng, sampling, window_bp, read_bp)
            codes = np.where(of_other, other_codes, codes)
            labels = np.where(of_other[flank_bp : flank_bp + window_bp, None], other_labels, labels)
        codes = replace_bases(rng, changes, codes)
        seen = SeenSites.of(labels, flank_bp)
        drawn = draw_changes(rng, changes, codes, seen, flank_bp, flank_bp + window_bp)
        changed = apply_changes(codes, drawn, width_bp)
        source = changed.source[flank_bp : flank_bp + window_bp] - flank_bp
        source = np.where((source >= 0) & (source < window_bp), source, -1)
        return ChangedWindows(codes[:width_bp], changed.codes, source.astype(np.int32))

    def _draw_read(
        self, rng: np.random.Generator, sampling: SpliceSampling, window_bp: int, read_bp: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw a window; return codes uint8 (read_bp,) from F before it on, and its labels, float16 (P, 2)."""
        index, first = self._draw(rng, sampling, window_bp)
        codes = self._chunks[index].codes(first - self._flank_bp, read_bp)
        return codes, self._labels[index][first : first + window_bp]

    def _draw(self, rng: np.random.Generator, sampling: SpliceSampling, window_bp: int) -> tuple[int, int]:
        """Draw a window that lies in a chunk; return the index of the chunk and its first position."""
        kind = rng.random()
        if kind < sampling.sites and len(self._sites):
            index, position = self._sites[rng.integers(len(self._sites))]
            last = self._chunks[index].width_bp - window_bp
            return int(index), int(np.clip(position - rng.integers(window_bp), 0, last))
        if kind < sampling.sites + sampling.genes and len(self._in_genes):
            index = int(rng.choice(self._in_genes))
        else:
            index = int(rng.integers(len(self._chunks)))
        return index, int(rng.integers(self._chunks[index].width_bp - window_bp + 1))
