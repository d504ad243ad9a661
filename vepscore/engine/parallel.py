"""Several devices: windows divided among engines, one on each device, or one engine whose towers are divided.

Windows have nothing to do with one another, so dividing them costs nothing but a copy of the network on each device,
and changes no score. Dividing the tower is for windows that are too long for the memory of one device: devices wait
for each other in every layer, and all but the tower runs on the first of them.
"""

import dataclasses
import itertools
import queue
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import jax

from vepscore.contract import Scorer
from vepscore.engine.preparer import ReadyAllele
from vepscore.engine.scoring import AlleleScores, Engine
from vepscore.engine.sparse import SparseEngine, with_fast_products
from vepscore.model.checkpoint import Checkpoint

# Of one window that an engine is given at a time. More would leave the others without work where many alleles share a
# window, as in saturation; with fewer, too many engines would compute the same reference.
_ALLELES_TOGETHER = 16


def create_sparse_engine(
    checkpoint: Checkpoint,
    scorers: Sequence[Scorer],
    *,
    devices: Sequence[jax.Device],
    split: Literal["windows", "positions"] = "windows",
    **options: Any,
) -> Engine:
    """The engine for a run on these devices.

    Args:
        checkpoint: the network and its tracks.
        scorers: which scores to make.
        devices: at least one, all of a kind.
        split: what is divided among them: the windows of a run, or the positions of each window.
        **options: of `SparseEngine`.

    Raises:
        CheckpointError: as `SparseEngine` does.
    """
    if split == "positions" and len(devices) > 1:
        return SparseEngine(checkpoint, scorers, tower_devices=devices, **options)
    # Once, not once per engine.
    checkpoint = dataclasses.replace(checkpoint, network=with_fast_products(checkpoint.network))
    engines = [SparseEngine(checkpoint, scorers, device=device, **options) for device in devices]
    return ParallelEngine(engines) if len(engines) > 1 else engines[0]


class ParallelEngine:
    """Several engines as one: each scores a window's alleles at a time, in a thread of its own.

    An engine that is done takes the next window, since some cost several times as much as others. For the same reason
    `batch` is many windows: at the end of each batch, engines wait for the slowest.

    Args:
        engines: at least one; the same but for their devices.
    """

    def __init__(self, engines: Sequence[Engine]) -> None:
        self._engines = tuple(engines)
        self.scorers = engines[0].scorers
        self.tracks = engines[0].tracks
        own = engines[0].batch
        self._together = -(-_ALLELES_TOGETHER // own) * own
        self.batch = len(engines) * self._together

    def score(self, alleles: Sequence[ReadyAllele]) -> list[AlleleScores]:
        """The matrices of each allele, in the order of the scorers."""
        idle: queue.SimpleQueue[Engine] = queue.SimpleQueue()
        for engine in self._engines:
            idle.put(engine)

        def score(piece: Sequence[ReadyAllele]) -> list[AlleleScores]:
            engine = idle.get()
            try:
                return engine.score(piece)
            finally:
                idle.put(engine)

        with ThreadPoolExecutor(len(self._engines), thread_name_prefix="engine") as threads:
            results = threads.map(score, _cut(alleles, self._together))
            return list(itertools.chain.from_iterable(results))


def _cut(alleles: Iterable[ReadyAllele], most: int) -> Iterator[list[ReadyAllele]]:
    """Consecutive alleles of one window, at most so many in a piece."""
    for _, same in itertools.groupby(alleles, lambda allele: allele.reference_codes.tobytes()):
        while piece := list(itertools.islice(same, most)):
            yield piece
