"""The run: records in, results out, in order; every record comes out, whatever happens to its alleles."""

import collections
import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from vepscore.contract import ScoreBlock, Scorer
from vepscore.engine.intake import Intake, PreparedAllele
from vepscore.engine.scoring import Engine, NotFiniteError
from vepscore.engine.summary import summarize_details, summarize_fields
from vepscore.genome.alleles import Status
from vepscore.io.records import Record
from vepscore.io.results import AlleleResult, RecordResult

_MAX_CHUNK_RECORDS = 1000  # held at a time where few alleles can be scored
_CHUNKS_AHEAD = 2  # prepared while the device works
_Item = TypeVar("_Item")
_END = object()


@dataclasses.dataclass
class RunCounts:
    """What a run has done so far."""

    records: int = 0
    statuses: collections.Counter[Status] = dataclasses.field(
        default_factory=collections.Counter
    )  # of alleles
    started: float = dataclasses.field(default_factory=time.monotonic)

    @property
    def alleles(self) -> int:
        """Over all statuses."""
        return self.statuses.total()

    @property
    def scored(self) -> int:
        """Alleles with status OK."""
        return self.statuses[Status.OK]

    @property
    def seconds(self) -> float:
        """Since the run started."""
        return time.monotonic() - self.started

    def add(self, result: RecordResult) -> None:
        """Counts one record's alleles."""
        self.records += 1
        self.statuses.update(allele.status for allele in result.alleles)


def run(
    records: Iterable[Record],
    intake: Intake,
    engine: Engine,
    writers: Sequence[Callable[[RecordResult], None]],
    observe: Callable[[RunCounts], None] = lambda counts: None,
) -> RunCounts:
    """Scores all records and hands each result to every writer.

    Args:
        records: in the order in which they come out.
        intake: prepares the alleles.
        engine: scores them.
        writers: called once per record.
        observe: called after each record, with the counts so far.
    """
    counts = RunCounts()
    for result in score_records(records, intake, engine):
        for write in writers:
            write(result)
        counts.add(result)
        observe(counts)
    return counts


def score_records(records: Iterable[Record], intake: Intake, engine: Engine) -> Iterator[RecordResult]:
    """The results of the records, in order; alleles go through the engine in batches across records."""
    scorers = {scorer.name: scorer for scorer in engine.scorers}
    for chunk in _prepare_ahead(_chunks(records, intake, engine.batch), _CHUNKS_AHEAD):
        ready = [allele for _, alleles in chunk for allele in alleles if allele.status is Status.OK]
        scored = iter(_score_in_batches(ready, engine))
        for record, alleles in chunk:
            results = tuple(
                _result(allele, next(scored), engine, scorers)
                if allele.status is Status.OK
                else _unscored(allele)
                for allele in alleles
            )
            yield RecordResult(record=record, alleles=results)


def _chunks(
    records: Iterable[Record], intake: Intake, batch: int
) -> Iterator[list[tuple[Record, list[PreparedAllele]]]]:
    """Consecutive records that fill a batch between them, or that are many."""
    chunk: list[tuple[Record, list[PreparedAllele]]] = []
    ready = 0
    for record in records:
        alleles = intake.prepare(record)
        chunk.append((record, alleles))
        ready += sum(allele.status is Status.OK for allele in alleles)
        if ready >= batch or len(chunk) >= _MAX_CHUNK_RECORDS:
            yield chunk
            chunk, ready = [], 0
    if chunk:
        yield chunk


def _prepare_ahead(items: Iterable[_Item], count: int) -> Iterator[_Item]:
    """The same items; a thread makes the next `count` while one is in use."""
    iterator = iter(items)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="intake") as thread:
        waiting = collections.deque(thread.submit(next, iterator, _END) for _ in range(count))
        while (item := waiting.popleft().result()) is not _END:
            waiting.append(thread.submit(next, iterator, _END))
            yield item


def _score_in_batches(
    alleles: Sequence[PreparedAllele], engine: Engine
) -> Iterator[list[ScoreBlock] | NotFiniteError]:
    for first in range(0, len(alleles), engine.batch):
        yield from engine.score(alleles[first : first + engine.batch])


def _result(
    allele: PreparedAllele,
    blocks: list[ScoreBlock] | NotFiniteError,
    engine: Engine,
    scorers: dict[str, Scorer],
) -> AlleleResult:
    if isinstance(blocks, NotFiniteError):
        return _unscored(dataclasses.replace(allele, status=Status.FAILED, reason=str(blocks)))
    return AlleleResult(
        alt=allele.alt,
        status=Status.OK,
        n_share=allele.n_share,
        window=allele.site.window,
        fields=summarize_fields(blocks, scorers),
        details=summarize_details(blocks, engine.tracks, allele.site.overlapping_genes()),
        blocks=tuple(blocks),
    )


def _unscored(allele: PreparedAllele) -> AlleleResult:
    return AlleleResult(
        alt=allele.alt,
        status=allele.status,
        reason=allele.reason,
        n_share=allele.n_share,
        window=allele.site.window if allele.site else None,
    )
