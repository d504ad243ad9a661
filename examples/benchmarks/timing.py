"""Time records one by one through the engine's own loop, without compilation."""

import dataclasses
import itertools
import statistics
import time
from collections.abc import Iterator, Sequence

from examples.benchmarks.inputs import Inputs
from examples.benchmarks.watch import Stages, compile_clock, watched
from vepscore.engine.scored_records import score_records
from vepscore.engine.scoring import Engine
from vepscore.genome.alleles import Allele, Status
from vepscore.genome.windows import Window, window_around
from vepscore.io.records import Record
from vepscore.io.results import RecordResult


@dataclasses.dataclass(frozen=True)
class Cost:
    """The cost of one variant, averaged over a record or a run."""

    seconds: float
    tflop: float


def check(result: RecordResult) -> RecordResult:
    """Return the result unchanged.

    Raises:
        SystemExit: an allele has no score, so that a time would mean nothing.
    """
    for allele in result.alleles:
        if allele.status is not Status.OK:
            record = result.record
            raise SystemExit(
                f"{record.chrom}:{record.pos1} {record.ref}>{allele.alt}: {allele.status}, {allele.reason}"
            )
    return result


def warm_up(engine: Engine, inputs: Inputs, records: Sequence[Record], align_bp: int = 1) -> None:
    """Score the records, and discard the scores."""
    for result in itertools.chain.from_iterable(score_records(records, inputs.preparer(align_bp), engine)):
        check(result)


def time_records(engine: Engine, inputs: Inputs, records: Sequence[Record], align_bp: int = 1) -> list[Cost]:
    """Return the cost of each record: seconds and TFLOP of all its ALTs, with a warm engine."""
    preparer = inputs.preparer(align_bp)
    with watched(engine, inputs) as stages:
        results = itertools.chain.from_iterable(score_records(records, preparer, engine))
        return list(_costs(results, stages))


def _costs(results: Iterator[RecordResult], stages: Stages) -> Iterator[Cost]:
    clock = compile_clock()
    started, done = time.time(), 0.0
    for result in results:
        check(result)
        ended, tflop = time.time(), stages.flop.total() / 1e12
        yield Cost(clock.seconds_of_work(started, ended), tflop - done)
        started, done = time.time(), tflop


def time_cluster(
    engine: Engine, inputs: Inputs, records: Sequence[Record], *, align_bp: int, sample: int
) -> Cost:
    """Return the cost of one variant of many that share windows.

    Of each window the first record is timed and so many of the others, for which their median stands; the first
    one pays for what they share.
    """
    by_window: dict[Window, list[Record]] = {}
    for record in records:
        by_window.setdefault(window_of(record, inputs.window_bp, align_bp), []).append(record)
    timed = [record for group in by_window.values() for record in group[: 1 + sample]]
    costs = iter(time_records(engine, inputs, timed, align_bp))
    total = [_total([next(costs) for _ in group[: 1 + sample]], len(group)) for group in by_window.values()]
    variants = sum(len(record.alts) for record in records)
    return Cost(sum(cost.seconds for cost in total) / variants, sum(cost.tflop for cost in total) / variants)


def window_of(record: Record, window_bp: int, align_bp: int) -> Window:
    """Return the window of the record's first ALT."""
    allele = Allele(chrom=record.chrom, pos0=record.pos1 - 1, ref=record.ref, alt=record.alts[0])
    return window_around(allele, window_bp, align_bp)


def median(costs: Sequence[Cost]) -> Cost:
    """Return the medians of the seconds and of the TFLOP."""
    return Cost(
        statistics.median(cost.seconds for cost in costs), statistics.median(cost.tflop for cost in costs)
    )


def _total(timed: Sequence[Cost], count: int) -> Cost:
    """Return the cost of `count` records of one window, estimated from the timed ones."""
    first, later = timed[0], timed[1:]
    if not later:
        return first
    each = median(later)
    return Cost(first.seconds + (count - 1) * each.seconds, first.tflop + (count - 1) * each.tflop)
