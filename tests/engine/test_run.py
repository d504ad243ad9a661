"""Records come out as they went in, each with all its alleles, while the engine is fed full batches."""

import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pytest

from tests.builders import make_records, tiny_tracks, vcf_row
from vepscore.contract import ScoreBlock
from vepscore.engine.intake import Intake, MismatchPolicy, PreparedAllele
from vepscore.engine.plugins import load_scorers
from vepscore.engine.run import RunCounts, run, score_records
from vepscore.engine.scoring import NotFiniteError
from vepscore.errors import GenomeError
from vepscore.genome.alleles import Status
from vepscore.io.records import Record
from vepscore.io.results import RecordResult
from vepscore.outputs import Output

SNV = vcf_row("chr1", 16_000, 1, "~")
SYMBOLIC = vcf_row("chr1", 16_000, 1, "<DEL>")
MIXED = vcf_row("chr1", 16_000, 1, "~", "<DEL>", "~G", "N")
NO_ALT = vcf_row("chr1", 16_000, 1)
ELSEWHERE = ("chr9", "100", ".", "A", "C")


class FakeEngine:
    """Scores an allele with the length of its ALT, and notes its batches."""

    def __init__(self, batch: int = 1, fails: str | None = None) -> None:
        self.batch = batch
        self.scorers = tuple(load_scorers(["ATAC"]))
        self.tracks = tiny_tracks()
        self.batches: list[list[str]] = []
        self._fails = fails  # the ALT that gives no finite numbers

    def score(self, alleles: Sequence[PreparedAllele]) -> list[list[ScoreBlock] | NotFiniteError]:
        assert 0 < len(alleles) <= self.batch
        self.batches.append([allele.alt for allele in alleles])
        return [self._score(allele) for allele in alleles]

    def _score(self, allele: PreparedAllele) -> list[ScoreBlock] | NotFiniteError:
        if allele.alt == self._fails:
            return NotFiniteError("ATAC: not finite")
        values = np.array([[0, len(allele.alt), 0]], np.float32)
        return [ScoreBlock(scorer="ATAC", output=Output.ATAC, values=values, genes=(None,))]


class Counting:
    """Passes records on, and knows how many were taken."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.taken = 0
        self._records = iter(records)

    def __iter__(self) -> Iterator[Record]:
        for record in self._records:
            self.taken += 1
            yield record


def statuses(results: Iterable[RecordResult]) -> list[list[Status]]:
    return [[allele.status for allele in result.alleles] for result in results]


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
def test_every_record_comes_out_in_order_with_all_its_alleles(intake: Intake, batch: int) -> None:
    records = make_records(SYMBOLIC, SNV, NO_ALT, MIXED, ELSEWHERE, SNV, SYMBOLIC)
    results = list(score_records(records, intake, FakeEngine(batch)))
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


def test_results_belong_to_their_alleles(intake: Intake) -> None:
    (result,) = score_records(make_records(MIXED), intake, FakeEngine(batch=3))
    first, symbolic, second, unknown = result.alleles
    assert (first.fields, second.fields) == ({"VS_ATAC": 1}, {"VS_ATAC": 2})
    assert [detail.score for detail in second.details] == [2]
    assert first.window == second.window and first.window.width_bp == intake.window_bp
    assert (symbolic.window, symbolic.fields, symbolic.blocks) == (None, {}, ())
    assert symbolic.reason == "ALT <DEL> names no sequence" and unknown.reason and not first.reason


def test_batches_are_filled_across_records(intake: Intake) -> None:
    rows = [vcf_row("chr1", 16_000, 1, "A" * length) for length in range(2, 9)]
    rows[1:1] = [SYMBOLIC, NO_ALT]
    engine = FakeEngine(batch=3)
    assert len(list(score_records(make_records(*rows), intake, engine))) == 9
    assert [[len(alt) for alt in alts] for alts in engine.batches] == [[2, 3, 4], [5, 6, 7], [8]]


def test_record_with_more_alts_than_a_batch_is_split(intake: Intake) -> None:
    row = vcf_row("chr1", 16_000, 1, *("A" * length for length in range(2, 7)))
    engine = FakeEngine(batch=2)
    (result,) = score_records(make_records(row), intake, engine)
    assert [allele.fields["VS_ATAC"] for allele in result.alleles] == [2, 3, 4, 5, 6]
    assert [len(alts) for alts in engine.batches] == [2, 2, 1]


def test_few_records_are_held_where_few_alleles_can_be_scored(intake: Intake) -> None:
    rows = [SYMBOLIC] * 2500
    rows[10] = rows[2400] = SNV
    records = Counting(make_records(*rows))
    results = score_records(records, intake, FakeEngine(batch=8))
    for number in range(2500):
        result = next(results)
        assert result.record.index == number
        assert records.taken - number <= 3 * 1000  # those in use, and two chunks prepared ahead
        assert (result.alleles[0].status is Status.OK) == (number in (10, 2400))
    assert next(results, None) is None


def test_single_windows_are_scored_as_they_come(intake: Intake) -> None:
    """While two more are prepared ahead."""
    records = Counting(make_records(*[SNV] * 10))
    results = score_records(records, intake, FakeEngine(batch=1))
    for number in range(10):
        assert next(results).record.index == number
        assert records.taken <= number + 3


def test_no_records_give_no_results(intake: Intake) -> None:
    assert list(score_records([], intake, FakeEngine())) == []
    assert run([], intake, FakeEngine(), []).records == 0


def test_allele_that_fails_stops_no_other(intake: Intake) -> None:
    rows = [vcf_row("chr1", 16_000, 1, "CC", "GGG"), vcf_row("chr1", 16_000, 1, "TTTT")]
    results = list(score_records(make_records(*rows), intake, FakeEngine(batch=2, fails="GGG")))
    assert statuses(results) == [[Status.OK, Status.FAILED], [Status.OK]]
    failed = results[0].alleles[1]
    assert (failed.reason, failed.fields, failed.details, failed.blocks) == ("ATAC: not finite", {}, (), ())
    assert failed.window == results[0].alleles[0].window and failed.n_share == results[0].alleles[0].n_share


def test_run_hands_each_result_to_every_writer_and_counts(intake: Intake) -> None:
    records = make_records(SYMBOLIC, MIXED, NO_ALT, ELSEWHERE)
    first: list[RecordResult] = []
    second: list[RecordResult] = []
    seen: list[tuple[int, int, int]] = []

    def observe(counts: RunCounts) -> None:
        assert len(first) == len(second) == counts.records
        seen.append((counts.records, counts.alleles, counts.scored))

    counts = run(records, intake, FakeEngine(batch=2), [first.append, second.append], observe)
    assert first == second and [result.record for result in first] == records
    assert seen == [(1, 1, 0), (2, 5, 2), (3, 5, 2), (4, 6, 2)]
    assert counts.statuses == {
        Status.OK: 2,
        Status.SYMBOLIC: 2,
        Status.NON_ACGT: 1,
        Status.OFF_REFERENCE: 1,
    }
    assert counts.seconds >= 0


def test_mismatch_policy_error_comes_through(intake: Intake) -> None:
    chrom, pos1, name, ref, alt = SNV
    wrong = (chrom, pos1, name, alt, ref)
    strict = Intake(reference=intake.reference, window_bp=intake.window_bp, on_mismatch=MismatchPolicy.ERROR)
    results = score_records(make_records(SNV, wrong), strict, FakeEngine())
    assert [result.record.index for result in itertools.islice(results, 1)] == [0]
    with pytest.raises(GenomeError, match="record 1"):
        next(results)
