"""Shards cover the input once, in order, with about as much work each."""

import dataclasses

import numpy as np
import pytest

from tests.builders import make_records, vcf_row
from vepscore.engine.job_source import estimate_work, records_of
from vepscore.engine.preparer import AllelePreparer
from vepscore.engine.scorer_plugins import load_scorers
from vepscore.options.option_types import Shard

SNV = vcf_row("chr1", 10_000, 1, "~")
IN_GENE = vcf_row("chr1", 14_500, 1, "~")
SYMBOLIC = vcf_row("chr1", 10_000, 1, "<DEL>")
MULTIALLELIC = vcf_row("chr1", 10_000, 1, "~", "~G", "~GG", "*")
ELSEWHERE = ("chr9", "5", ".", "A", "C")


def ranges(rows: list[tuple[str, ...]], count: int, preparer: AllelePreparer) -> list[range]:
    records = make_records(*rows)
    return [records_of(Shard(number, count), records, preparer) for number in range(1, count + 1)]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 50])
def test_shards_cover_all_records_once(preparer: AllelePreparer, count: int) -> None:
    rows = [SNV, SYMBOLIC, ELSEWHERE, MULTIALLELIC, IN_GENE] * 7
    found = ranges(rows, count, preparer)
    assert [number for part in found for number in part] == list(range(len(rows)))


def test_work_is_balanced_rather_than_records(preparer: AllelePreparer) -> None:
    rows = [SYMBOLIC] * 900 + [SNV] * 100
    first, second = ranges(rows, 2, preparer)
    assert (len(first), len(second)) == (950, 50)


def test_all_shards_have_about_as_much(preparer: AllelePreparer) -> None:
    rng = np.random.default_rng(0)
    rows = [(SNV, IN_GENE, SYMBOLIC, MULTIALLELIC)[i] for i in rng.integers(4, size=400)]
    work = [estimate_work(record, preparer) for record in make_records(*rows)]
    parts = ranges(rows, 7, preparer)
    assert len(parts) == 7
    for part in parts:
        assert abs(sum(work[part.start : part.stop]) - sum(work) / 7) <= max(work)


def test_work_of_a_record(preparer: AllelePreparer) -> None:
    snv, in_gene, symbolic, several, elsewhere = (
        estimate_work(record, preparer)
        for record in make_records(SNV, IN_GENE, SYMBOLIC, MULTIALLELIC, ELSEWHERE)
    )
    assert 0 < symbolic == elsewhere < snv / 1000
    assert several == pytest.approx(3 * snv, rel=1e-3)
    assert in_gene > 1.5 * snv


def test_record_that_no_scorer_applies_to_costs_what_it_costs_to_pass_on(preparer: AllelePreparer) -> None:
    preparer = dataclasses.replace(
        preparer, scorers=tuple(load_scorers(["SPLICE_SITES", "SPLICE_JUNCTIONS"]))
    )
    snv, in_gene, symbolic, several, _ = (
        estimate_work(record, preparer)
        for record in make_records(SNV, IN_GENE, SYMBOLIC, MULTIALLELIC, ELSEWHERE)
    )
    assert snv == several == symbolic < in_gene / 1000


def test_nothing_divides_into_nothing(preparer: AllelePreparer) -> None:
    assert ranges([], 3, preparer) == [range(0, 0)] * 3
