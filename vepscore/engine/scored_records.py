"""The run: records in, results out, in order; every record comes out, whatever happens to its alleles."""

import collections
import dataclasses
import itertools
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import NamedTuple

from vepscore.contract import Scorer
from vepscore.engine.preparer import AllelePreparer, PreparedAllele, ReadyAllele, RefusedAllele
from vepscore.engine.scoring import AlleleScores, Engine, NotFiniteError
from vepscore.engine.summary import summarize_details, summarize_fields
from vepscore.genome.alleles import Status
from vepscore.io.journal import Journal
from vepscore.io.records import Record
from vepscore.io.results import AlleleResult, RecordResult

_MAX_CHUNK_RECORDS = 1000  # held at a time where few alleles can be scored
_MAX_CHUNK_BYTES = 1 << 24  # of their lines
_CHUNKS_AHEAD = 2  # prepared while the device works
_SCORED = {Status.OK, Status.FAILED}  # by the device: what takes time


@dataclasses.dataclass
class RunCounts:
    """What a run has done so far."""

    records: int = 0
    resumed: int = 0  # of the records, those whose results were in the journal
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
    def unscored(self) -> int:
        """Alleles without a score, though some scorer of the run would apply."""
        return self.alleles - self.scored - self.statuses[Status.NOT_APPLICABLE]

    @property
    def seconds(self) -> float:
        """Since the run started."""
        return time.monotonic() - self.started

    def add(self, result: RecordResult) -> None:
        """Counts one record's alleles."""
        self.records += 1
        for allele in result.alleles:
            self.statuses[allele.status] += 1


def run(
    results: Iterable[Sequence[RecordResult]],
    journal: Journal | None,
    writers: Sequence[Callable[[RecordResult], None]],
    counts: RunCounts,
    observe: Callable[[RunCounts], None] = lambda counts: None,
) -> None:
    """Keeps each result in the journal and hands it to every writer.

    Args:
        results: some at a time, in the order in which they come out; those that the journal has are among them.
        journal: takes what was scored; None to keep nothing.
        writers: called once per record.
        counts: is brought up to date.
        observe: called after each record, with the counts so far.
    """
    for result in itertools.chain.from_iterable(results):
        if journal is not None and result.record in journal:
            counts.resumed += 1
        elif journal is not None and not _SCORED.isdisjoint(allele.status for allele in result.alleles):
            journal.append(result)
        for write in writers:
            write(result)
        counts.add(result)
        observe(counts)


def score_records(
    records: Iterable[Record],
    preparer: AllelePreparer,
    engine: Engine,
    *,
    journal: Journal | None = None,
    keep_matrices: bool = True,
) -> Generator[list[RecordResult], None, None]:
    """The results of the records, in order, some at a time; alleles go through the engine in batches across records.

    Args:
        records: in the order in which they come out.
        preparer: prepares the alleles.
        engine: scores them.
        journal: results that it has are taken from it.
        keep_matrices: the results have all scores, for the long table, and not their summary alone.
    """
    scorers = {scorer.name: scorer for scorer in engine.scorers}
    begun: list[AlleleResult] = []  # of a record whose other alleles are in the next chunk
    for chunk, scored in _scored_chunks(_chunks(records, preparer, engine.batch, journal), engine):
        results = []
        for piece in chunk:
            begun += journal.read(piece.record) if piece.is_known else ()
            begun += (
                _result(allele, next(scored), engine, scorers, keep_matrices=keep_matrices)
                if isinstance(allele, ReadyAllele)
                else _refused(allele)
                for allele in piece.alleles
            )
            if piece.is_last:
                results.append(RecordResult(record=piece.record, alleles=tuple(begun)))
                begun = []
        yield results


class _Piece(NamedTuple):
    """Alleles of a record that are scored together."""

    record: Record
    alleles: Sequence[PreparedAllele]
    is_last: bool  # of the record
    is_known: bool = False  # the results are in the journal


def _chunks(
    records: Iterable[Record], preparer: AllelePreparer, batch: int, journal: Journal | None
) -> Iterator[list[_Piece]]:
    """Consecutive alleles that fill a batch between them, or those of many records."""
    chunk: list[_Piece] = []
    ready = held_bytes = 0
    for record in records:
        held_bytes += len(record.line)
        if journal is not None and record in journal:
            chunk.append(_Piece(record, (), is_last=True, is_known=True))
        else:
            alleles: list[PreparedAllele] = []
            left = len(record.alts)
            for allele in preparer.prepare(record):
                alleles.append(allele)
                left -= 1
                ready += isinstance(allele, ReadyAllele)
                if left and ready >= batch:
                    yield [*chunk, _Piece(record, alleles, is_last=False)]
                    chunk, alleles, ready = [], [], 0
            chunk.append(_Piece(record, alleles, is_last=True))
        if ready >= batch or len(chunk) >= _MAX_CHUNK_RECORDS or held_bytes >= _MAX_CHUNK_BYTES:
            yield chunk
            chunk, ready, held_bytes = [], 0, 0
    if chunk:
        yield chunk


def _scored_chunks(
    chunks: Iterable[list[_Piece]], engine: Engine
) -> Iterator[tuple[list[_Piece], Iterator[AlleleScores]]]:
    """Each chunk with what came out for its alleles that are ready.

    The device has a thread of its own: meanwhile the next chunks are prepared, and the main thread hears signals. It is
    not waited for at the end, which comes early only with an error or an interruption.
    """
    device = ThreadPoolExecutor(max_workers=1, thread_name_prefix="device")
    waiting: collections.deque[_Begun] = collections.deque()
    try:
        for begun in _begin(chunks, engine, device):
            waiting.append(begun)
            while waiting and (waiting[0].scored is None or len(waiting) > _CHUNKS_AHEAD):
                yield waiting.popleft().finish()
        for begun in waiting:
            yield begun.finish()
    finally:
        device.shutdown(wait=False, cancel_futures=True)


class _Begun(NamedTuple):
    """A chunk that the device has been given."""

    chunk: list[_Piece]
    scored: Future[list[AlleleScores]] | None  # None where there is nothing to score

    def finish(self) -> tuple[list[_Piece], Iterator[AlleleScores]]:
        return self.chunk, iter(self.scored.result() if self.scored else ())


def _begin(chunks: Iterable[list[_Piece]], engine: Engine, device: Executor) -> Iterator[_Begun]:
    """Gives the device each chunk's alleles; an error in the chunks comes after what was begun before it."""
    try:
        for chunk in chunks:
            ready = [allele for piece in chunk for allele in piece.alleles if isinstance(allele, ReadyAllele)]
            yield _Begun(chunk, device.submit(_score_in_batches, ready, engine) if ready else None)
    except Exception as error:
        failed: Future[list[AlleleScores]] = Future()
        failed.set_exception(error)
        yield _Begun([], failed)


def _score_in_batches(alleles: Sequence[ReadyAllele], engine: Engine) -> list[AlleleScores]:
    return [
        scored
        for first in range(0, len(alleles), engine.batch)
        for scored in engine.score(alleles[first : first + engine.batch])
    ]


def _result(
    allele: ReadyAllele,
    matrices: AlleleScores,
    engine: Engine,
    scorers: dict[str, Scorer],
    *,
    keep_matrices: bool,
) -> AlleleResult:
    if isinstance(matrices, NotFiniteError):
        return AlleleResult(
            alt=allele.alt,
            status=Status.FAILED,
            reason=str(matrices),
            n_fraction=allele.n_fraction,
            window=allele.site.window,
        )
    return AlleleResult(
        alt=allele.alt,
        status=Status.OK,
        n_fraction=allele.n_fraction,
        window=allele.site.window,
        fields=summarize_fields(matrices, scorers),
        details=summarize_details(matrices, engine.tracks, allele.site.overlapping_genes()),
        matrices=tuple(matrices) if keep_matrices else (),
    )


def _refused(allele: RefusedAllele) -> AlleleResult:
    return AlleleResult(
        alt=allele.alt, status=allele.status, reason=allele.reason, n_fraction=allele.n_fraction
    )
