"""Score records in their order. Every record gets a result, whatever happens to its alleles."""

import dataclasses
import itertools
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import NamedTuple

from vepscore.contract import Scorer
from vepscore.engine.preparer import AllelePreparer, PreparedAllele, RefusedAllele, explain_refusals
from vepscore.engine.scoring import AlleleScores, Engine, NotFiniteError
from vepscore.engine.summary import summarize_details, summarize_fields
from vepscore.genome.alleles import Status
from vepscore.io.journal import Journal
from vepscore.io.records import Record
from vepscore.io.results import AlleleResult, RecordResult
from vepscore.model.allele_plan import ReadyAllele

_MAX_CHUNK_RECORDS = 1000  # records in a chunk, if few of their alleles can be scored
_MAX_CHUNK_BYTES = 1 << 24  # bytes of the lines of a chunk
_CHUNKS_AHEAD = 2  # chunks prepared while the device works
_SCORED = {Status.OK, Status.FAILED}  # statuses of alleles that the device has scored, which takes time


@dataclasses.dataclass
class RunCounts:
    """What a run has done so far."""

    records: int = 0
    resumed: int = 0  # records whose results were in the journal
    statuses: Counter[Status] = dataclasses.field(default_factory=Counter)  # of alleles
    started: float = dataclasses.field(default_factory=time.monotonic)

    @property
    def alleles(self) -> int:
        """The number of alleles of all statuses."""
        return self.statuses.total()

    @property
    def scored(self) -> int:
        """The number of alleles with status OK."""
        return self.statuses[Status.OK]

    @property
    def unscored(self) -> int:
        """The number of alleles without a score to which a scorer of the run would apply."""
        return self.alleles - self.scored - self.statuses[Status.NOT_APPLICABLE]

    @property
    def seconds(self) -> float:
        """Seconds since the run started."""
        return time.monotonic() - self.started

    def add(self, result: RecordResult) -> None:
        """Count the alleles of one record."""
        self.records += 1
        for allele in result.alleles:
            self.statuses[allele.status] += 1


def write_results(
    results: Iterable[Sequence[RecordResult]],
    journal: Journal | None,
    writers: Sequence[Callable[[RecordResult], None]],
    counts: RunCounts,
    observe: Callable[[RunCounts], None] = lambda counts: None,
) -> None:
    """Keep each result in the journal and hand it to every writer.

    `results` come some at a time, in their order, with those that the journal has. The writers, and then `observe`, are
    called once per record, after which `counts` include it.
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
    """Yield the results of records in their order, some at a time; batches of alleles extend across records.

    Results that the journal has from an earlier run are not computed again. With `keep_matrices`, results have all
    scores, for the long table, and not only their summary.
    """
    scorers = {scorer.name: scorer for scorer in engine.scorers}
    begun: list[AlleleResult] = []  # alleles of a record whose other alleles are in the next chunk
    for chunk, scored in _scored_chunks(_chunks(records, preparer, engine.batch, journal), engine):
        results = []
        for piece in chunk:
            begun += piece.known_in.read(piece.record) if piece.known_in is not None else ()
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
    known_in: Journal | None = None  # has the results already


def _chunks(
    records: Iterable[Record], preparer: AllelePreparer, batch: int, journal: Journal | None
) -> Iterator[list[_Piece]]:
    """Yield chunks of consecutive alleles that fill a batch, or that are of many records."""
    chunk: list[_Piece] = []
    ready = held_bytes = 0
    for record in records:
        held_bytes += len(record.line)
        if journal is not None and record in journal:
            chunk.append(_Piece(record, (), is_last=True, known_in=journal))
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
    """Yield each chunk with the results of those of its alleles that can be scored.

    The device has its own thread, so that the next chunks are prepared meanwhile and the main thread receives signals.
    An early end, by an error or an interruption, does not wait for it.
    """
    device = ThreadPoolExecutor(max_workers=1, thread_name_prefix="device")
    waiting: deque[_Begun] = deque()
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
    """A chunk that was given to the device."""

    chunk: list[_Piece]
    scored: Future[list[AlleleScores]] | None  # None: there is nothing to score

    def finish(self) -> tuple[list[_Piece], Iterator[AlleleScores]]:
        return self.chunk, iter(self.scored.result() if self.scored else ())


def _begin(chunks: Iterable[list[_Piece]], engine: Engine, device: Executor) -> Iterator[_Begun]:
    """Give each chunk's alleles to the device; an error in `chunks` is raised after the results of earlier chunks."""
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
        reason="; ".join(explain_refusals(engine.scorers, allele.site)),
        n_fraction=allele.n_fraction,
        window=allele.site.window,
        fields=summarize_fields(matrices, scorers),
        details=summarize_details(matrices, engine.tracks, allele.site.overlapping_genes()),
        entries=tuple(entry for matrix in matrices for entry in matrix.entries),
        matrices=tuple(matrices) if keep_matrices else (),
    )


def _refused(allele: RefusedAllele) -> AlleleResult:
    return AlleleResult(
        alt=allele.alt, status=allele.status, reason=allele.reason, n_fraction=allele.n_fraction
    )
