"""Use several devices: divide windows among engines, one on each device, or divide the tower of each window.

Windows are independent, so dividing them costs only a copy of the network on each device, and changes no score.
Dividing the tower is for windows that are too long for the memory of one device: devices wait for each other in every
layer, and everything except the tower runs on the first device.
"""

import dataclasses
import itertools
import queue
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax

from vepscore.contract import Scorer
from vepscore.engine.scoring import AlleleScores, Engine
from vepscore.engine.sparse import SparseEngine
from vepscore.model.allele_plan import ReadyAllele
from vepscore.model.checkpoint import Checkpoint

# Number of alleles of one window that an engine is given at a time. With more, engines would be idle if many alleles
# share a window, as in saturation mutagenesis; with fewer, too many engines would compute the same reference.
_ALLELES_TOGETHER = 16


def create_sparse_engine(
    checkpoint: Checkpoint,
    scorers: Sequence[Scorer],
    *,
    devices: Sequence[jax.Device],
    divides_positions: bool = False,
    **options: Any,
) -> Engine:
    """Create the engine for a run on these devices.

    Args:
        checkpoint: the network and its tracks.
        scorers: the scorers of the run.
        devices: at least one, all of the same kind.
        divides_positions: divide the positions of each window among them, not the windows of a run.
        **options: other arguments of `SparseEngine`.

    Raises:
        CheckpointError: see `SparseEngine`.
    """
    if divides_positions and len(devices) > 1:
        return SparseEngine(checkpoint, scorers, window_devices=devices, **options)
    # Convert the network once, not once per engine.
    checkpoint = dataclasses.replace(checkpoint, network=checkpoint.network.optimized())
    engines = [SparseEngine(checkpoint, scorers, device=device, **options) for device in devices]
    return ParallelEngine(engines) if len(engines) > 1 else engines[0]


class ParallelEngine:
    """Several engines that work as one, each in a thread of its own, on the alleles of one window at a time.

    An idle engine takes the next window, because some windows cost several times as much as others. For the same reason
    `batch` is many windows: at the end of each batch, engines wait for the slowest one.

    Args:
        engines: at least one; they differ in their devices only.
    """

    def __init__(self, engines: Sequence[Engine]) -> None:
        self._engines = tuple(engines)
        self.scorers = engines[0].scorers
        self.tracks = engines[0].tracks
        batch = engines[0].batch
        self._together = -(-_ALLELES_TOGETHER // batch) * batch
        self.batch = len(engines) * self._together

    def score(self, alleles: Sequence[ReadyAllele]) -> list[AlleleScores]:
        """Return the score matrices of each allele, in the order of the scorers."""
        idle: queue.SimpleQueue[Engine] = queue.SimpleQueue()
        for engine in self._engines:
            idle.put(engine)

        def score(chunk: Sequence[ReadyAllele]) -> list[AlleleScores]:
            engine = idle.get()
            try:
                return engine.score(chunk)
            finally:
                idle.put(engine)

        with ThreadPoolExecutor(len(self._engines), thread_name_prefix="engine") as threads:
            results = threads.map(score, _chunks(alleles, self._together))
            return list(itertools.chain.from_iterable(results))


def _chunks(alleles: Iterable[ReadyAllele], most: int) -> Iterator[list[ReadyAllele]]:
    """Yield chunks of at most `most` consecutive alleles of one window."""
    for _, same in itertools.groupby(alleles, lambda allele: allele.reference_codes.tobytes()):
        while chunk := list(itertools.islice(same, most)):
            yield chunk
