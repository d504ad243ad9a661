"""Records come out as they went in, each with all its alleles, while the engine is fed full batches."""

import collections
import dataclasses
import itertools
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.builders import WINDOW_BP, make_records, vcf_row
from tests.engine.fakes import Counting, FakeEngine
from tests.scorers.cases import RESOLUTIONS
from vepscore.engine.preparer import AllelePreparer
from vepscore.engine.scored_records import RunCounts, score_records, write_results
from vepscore.engine.scorer_plugins import load_scorers
from vepscore.engine.scoring import AlleleScores
from vepscore.errors import GenomeError, InputError
from vepscore.genome.alleles import Status
from vepscore.io.journal import open_journal
from vepscore.io.records import Record
from vepscore.io.results import RecordResult
from vepscore.model.allele_plan import ReadyAllele
from vepscore.options.option_types import MismatchPolicy

SNV = vcf_row("chr1", 16_000, 1, "~")
SYMBOLIC = vcf_row("chr1", 16_000, 1, "<DEL>")
MIXED = vcf_row("chr1", 16_000, 1, "~", "<DEL>", "~G", "N")
NO_ALT = vcf_row("chr1", 16_000, 1)
ELSEWHERE = ("chr9", "100", ".", "A", "C")


def score(records: Iterable[Record], preparer: AllelePreparer, engine: FakeEngine) -> Iterator[RecordResult]:
    return itertools.chain.from_iterable(score_records(records, preparer, engine))


def statuses(results: Iterable[RecordResult]) -> list[list[Status]]:
    return [[allele.status for allele in result.alleles] for result in results]


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
def test_every_record_comes_out_in_order_with_all_its_alleles(preparer: AllelePreparer, batch: int) -> None:
    records = make_records(SYMBOLIC, SNV, NO_ALT, MIXED, ELSEWHERE, SNV, SYMBOLIC)
    results = list(score(records, preparer, FakeEngine(batch)))
    assert [result.record for result in results] == records
    assert [[allele.alt for allele in result.alleles] for result in results] == [
        list(record.alts) for record in records
    ]
    assert statuses(results) == [
        [Status.SYMBOLIC],
        [Status.OK],
        [],
        [Status.OK, Status.SYMBOLIC, Status.OK, Status.NON_ACGT],
        [Status.OFF_REFERENCE],
        [Status.OK],
        [Status.SYMBOLIC],
    ]


def test_results_belong_to_their_alleles(preparer: AllelePreparer) -> None:
    (result,) = score(make_records(MIXED), preparer, FakeEngine(batch=3))
    first, symbolic, second, unknown = result.alleles
    assert (first.fields, second.fields) == ({"VS_ATAC": 1}, {"VS_ATAC": 2})
    assert [detail.score for detail in second.details] == [2]
    assert first.window == second.window and first.window.width_bp == preparer.window_bp
    assert (symbolic.window, symbolic.fields, symbolic.matrices) == (None, {}, ())
    assert symbolic.reason == "ALT <DEL> names no sequence" and unknown.reason and not first.reason


def test_batches_are_filled_across_records(preparer: AllelePreparer) -> None:
    rows = [vcf_row("chr1", 16_000, 1, "A" * length) for length in range(2, 9)]
    rows[1:1] = [SYMBOLIC, NO_ALT]
    engine = FakeEngine(batch=3)
    assert len(list(score(make_records(*rows), preparer, engine))) == 9
    assert [[len(alt) for alt in alts] for alts in engine.batches] == [[2, 3, 4], [5, 6, 7], [8]]


def test_record_with_more_alts_than_a_batch_is_split(preparer: AllelePreparer) -> None:
    row = vcf_row("chr1", 16_000, 1, *("A" * length for length in range(2, 7)))
    engine = FakeEngine(batch=2)
    (result,) = score(make_records(row), preparer, engine)
    assert [allele.fields["VS_ATAC"] for allele in result.alleles] == [2, 3, 4, 5, 6]
    assert [len(alts) for alts in engine.batches] == [2, 2, 1]


def test_few_records_are_held_where_few_alleles_can_be_scored(preparer: AllelePreparer) -> None:
    rows = [SYMBOLIC] * 2500
    rows[10] = rows[2400] = SNV
    records = Counting(make_records(*rows))
    results = score(records, preparer, FakeEngine(batch=8))
    for number in range(2500):
        result = next(results)
        assert result.record.index == number
        assert records.taken - number <= 3 * 1000  # those in use, and two chunks prepared ahead
        assert (result.alleles[0].status is Status.OK) == (number in (10, 2400))
    assert next(results, None) is None


def test_single_windows_are_scored_as_they_come(preparer: AllelePreparer) -> None:
    """While two more are prepared ahead."""
    records = Counting(make_records(*[SNV] * 10))
    results = score(records, preparer, FakeEngine(batch=1))
    for number in range(10):
        assert next(results).record.index == number
        assert records.taken <= number + 3


def test_no_records_give_no_results(preparer: AllelePreparer) -> None:
    assert list(score([], preparer, FakeEngine())) == []
    counts = RunCounts()
    write_results([], None, [], counts)
    assert counts.records == 0


def test_allele_that_fails_stops_no_other(preparer: AllelePreparer) -> None:
    rows = [vcf_row("chr1", 16_000, 1, "GG", "GGG"), vcf_row("chr1", 16_000, 1, "TTTT")]
    results = list(score(make_records(*rows), preparer, FakeEngine(batch=2, fails="GGG")))
    assert statuses(results) == [[Status.OK, Status.FAILED], [Status.OK]]
    failed = results[0].alleles[1]
    assert (failed.reason, failed.fields, failed.details, failed.matrices) == ("ATAC: not finite", {}, (), ())
    assert (
        failed.window == results[0].alleles[0].window
        and failed.n_fraction == results[0].alleles[0].n_fraction
    )


def test_run_hands_each_result_to_every_writer_and_counts(preparer: AllelePreparer) -> None:
    records = make_records(SYMBOLIC, MIXED, NO_ALT, ELSEWHERE)
    first: list[RecordResult] = []
    second: list[RecordResult] = []
    seen: list[tuple[int, int, int]] = []

    def observe(counts: RunCounts) -> None:
        assert len(first) == len(second) == counts.records
        seen.append((counts.records, counts.alleles, counts.scored))

    counts = RunCounts()
    results = score_records(records, preparer, FakeEngine(batch=2))
    write_results(results, None, [first.append, second.append], counts, observe)
    assert first == second and [result.record for result in first] == records
    assert seen == [(1, 1, 0), (2, 5, 2), (3, 5, 2), (4, 6, 2)]
    assert counts.statuses == {
        Status.OK: 2,
        Status.SYMBOLIC: 2,
        Status.NON_ACGT: 1,
        Status.OFF_REFERENCE: 1,
    }


def test_seconds_count_from_the_start_of_the_run() -> None:
    counts = RunCounts(started=time.monotonic() - 1_000)
    assert 1_000 <= counts.seconds < 1_100


def test_mismatch_policy_error_comes_through(preparer: AllelePreparer) -> None:
    chrom, pos1, name, ref, alt = SNV
    wrong = (chrom, pos1, name, alt, ref)
    strict = AllelePreparer(
        resolutions=RESOLUTIONS,
        reference=preparer.reference,
        window_bp=preparer.window_bp,
        on_mismatch=MismatchPolicy.ERROR,
    )
    results = score(make_records(SNV, wrong), strict, FakeEngine())
    assert [result.record.index for result in itertools.islice(results, 1)] == [0]
    with pytest.raises(GenomeError, match="record 1"):
        next(results)


def test_allele_that_no_scorer_applies_to_is_neither_given_to_the_engine_nor_journaled(
    preparer: AllelePreparer, tmp_path: Path
) -> None:
    outside = vcf_row("chr1", 9_000, 1, "~")
    records = make_records(outside, SNV, outside)
    preparer = dataclasses.replace(preparer, scorers=tuple(load_scorers(["SPLICE_SITES"])))
    engine, counts = FakeEngine(), RunCounts()
    with pytest.raises(ZeroDivisionError), open_journal(tmp_path / "out", {}, resume=True) as journal:
        write_results(score_records(records, preparer, engine), journal, [stop_at(2)], RunCounts())
    assert len(engine.batches) == 1
    with open_journal(tmp_path / "out", {}, resume=True) as journal:
        assert [record in journal for record in records] == [False, True, False]
        write_results(score_records(records, preparer, engine, journal=journal), journal, [], counts)
    assert (counts.statuses[Status.NOT_APPLICABLE], counts.scored, counts.unscored) == (2, 1, 0)


def test_results_in_the_journal_are_not_made_again(preparer: AllelePreparer, tmp_path: Path) -> None:
    rows = [SNV, SYMBOLIC, MIXED, SNV, NO_ALT]
    records = make_records(*rows)
    whole = list(score(records, preparer, FakeEngine()))
    with pytest.raises(ZeroDivisionError), open_journal(tmp_path / "out", {}, resume=True) as journal:
        write_results(score_records(records, preparer, FakeEngine()), journal, [stop_at(3)], RunCounts())
    engine, counts, again = FakeEngine(), RunCounts(), []
    with open_journal(tmp_path / "out", {}, resume=True) as journal:
        assert [record in journal for record in records] == [True, False, True, True, False]
        results = score_records(records, preparer, engine, journal=journal)
        write_results(results, journal, [again.append], counts)
    assert engine.batches == [] and (counts.resumed, counts.records) == (3, 5)
    assert statuses(again) == statuses(whole)
    assert [a.fields for r in again for a in r.alleles] == [a.fields for r in whole for a in r.alleles]


def stop_at(index: int) -> Callable[[RecordResult], None]:
    def write(result: RecordResult) -> None:
        if result.record.index == index:
            raise ZeroDivisionError

    return write


def test_summary_alone_is_kept_where_no_table_has_all_scores(preparer: AllelePreparer) -> None:
    chunks = score_records(make_records(SNV), preparer, FakeEngine(), keep_matrices=False)
    ((result,),) = chunks
    assert result.alleles[0].matrices == () and result.alleles[0].fields == {"VS_ATAC": 1}


def test_sequences_of_many_alts_do_not_stand_in_memory_together(preparer: AllelePreparer) -> None:
    alts = 3_000
    row = vcf_row("chr1", 16_000, 1, *["~", "<DEL>"] * alts)
    tracemalloc.start()
    (result,) = score(make_records(row), preparer, FakeEngine(batch=4))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert collections.Counter(statuses([result])[0]) == {Status.OK: alts, Status.SYMBOLIC: alts}
    assert peak < alts * WINDOW_BP / 4


def test_what_was_begun_comes_out_before_an_error(preparer: AllelePreparer) -> None:
    def cut_short() -> Iterator[Record]:
        yield from make_records(SNV, SNV, SYMBOLIC)
        raise InputError("cut short")

    results = score(cut_short(), preparer, FakeEngine())
    assert [result.record.index for result in itertools.islice(results, 2)] == [0, 1]
    with pytest.raises(InputError, match="cut short"):
        next(results)


def test_closing_does_not_wait_for_the_device(preparer: AllelePreparer) -> None:
    engine = SlowEngine()
    results = score_records(make_records(*[SNV] * 5), preparer, engine)
    next(results)
    engine.second_begun.wait()
    results.close()
    engine.go_on.set()
    engine.thread.join()
    assert len(engine.batches) == 2  # what was waiting is given up


class SlowEngine(FakeEngine):
    """Works on the second batch until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.second_begun, self.go_on = threading.Event(), threading.Event()

    def score(self, alleles: Sequence[ReadyAllele]) -> list[AlleleScores]:
        result = super().score(alleles)
        if len(self.batches) == 2:
            self.thread = threading.current_thread()
            self.second_begun.set()
            self.go_on.wait()
        return result
