"""SNVs and indels apart, and the warning where positives and negatives have unequal fractions of indels."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.evaluate.planted import Genome, info_line, write_scored
from vepscore.evaluate.evaluation import (
    Evaluation,
    EvaluationOptions,
    distinct_rows,
    evaluate,
    find_imbalances,
    tsv_lines,
)
from vepscore.evaluate.truth import Effects, Labels
from vepscore.genome.alleles import Allele

META = (
    info_line("CLNSIG", "1", "String"),
    info_line("DPSI", "1", "Float"),
    info_line("VS_SPLICE", "1", "Float"),
)
LABELS = Labels.parse("CLNSIG", "Pathogenic", "Benign")
INTRON = range(210, 250)  # 11 to 50 bp from the nearest splice site
MIXED = 20  # alleles of each class
SNV_SCORE, INDEL_SCORE = 0.1, 0.9  # a score that knows the kind and nothing else


def snv(genome: Genome, pos0: int) -> Allele:
    """An SNV, with an unchanged base before it at every second position."""
    base = genome.snv("judged", pos0).alt
    return (
        genome.allele("judged", pos0 - 1, 2, genome.contigs["judged"][pos0 - 1] + base)
        if pos0 % 2
        else (genome.snv("judged", pos0))
    )


def indel(genome: Genome, pos0: int) -> Allele:
    """A deletion and an insertion of one base in turn."""
    base = genome.contigs["judged"][pos0]
    return (
        genome.allele("judged", pos0, 2, base) if pos0 % 2 else genome.allele("judged", pos0, 1, base + "AC")
    )


def row(allele: Allele, *, positive: bool, score: float) -> tuple[Allele, str]:
    label, effect = ("Pathogenic", 1.0) if positive else ("Benign", -1.0)
    return allele, f"CLNSIG={label};DPSI={effect};VS_SPLICE={score}"


def mixed(genome: Genome, *, positive_indels: int, negative_indels: int) -> list[tuple[Allele, str]]:
    """MIXED alleles of each class in an intron, so many of which are indels; the rest are SNVs."""
    rows = []
    for place, pos0 in enumerate(INTRON[: 2 * MIXED]):
        number, positive = place % MIXED, place < MIXED
        if number < (positive_indels if positive else negative_indels):
            rows.append(row(indel(genome, pos0), positive=positive, score=INDEL_SCORE))
        else:
            rows.append(row(snv(genome, pos0), positive=positive, score=SNV_SCORE))
    return rows


@pytest.fixture
def judge(planted: Genome, tmp_path: Path) -> Callable[..., Evaluation]:
    """Evaluate rows on the planted genome."""

    def of(rows: Sequence[tuple[Allele, str]], truth: Labels | Effects = LABELS) -> Evaluation:
        return evaluate(
            EvaluationOptions(
                source=str(write_scored(tmp_path / "scored.vcf", rows, META)),
                reference=planted.fasta,
                genes=planted.gtf,
                truth=truth,
                scores=None,
                chromosomes=(),
                within_bp=50,
                pwm_exclude=("judged", "training"),  # no matrices, which need no test here
                pwm_fastas=(),
                resamples=20,
                seed=0,
            )
        )

    return of


def aurocs(evaluation: Evaluation) -> dict[str, float]:
    """Stratum to AUROC of VS_SPLICE."""
    return {
        row.stratum: row.estimate.value
        for row in evaluation.rows
        if (row.predictor, row.metric) == ("VS_SPLICE", "auroc")
    }


def test_a_score_that_only_tells_the_kinds_apart_is_chance_for_each_of_them(
    planted: Genome, judge: Callable[..., Evaluation]
) -> None:
    found = judge(mixed(planted, positive_indels=16, negative_indels=4))
    chances = aurocs(found)
    assert chances["all"] == pytest.approx(0.8 * 0.8 + (0.8 * 0.2 + 0.2 * 0.8) / 2)
    assert chances["all_snv"] == chances["all_indel"] == 0.5
    assert chances["within_50_noncanonical_snv"] == chances["within_50_noncanonical_indel"] == 0.5
    counts = {row.stratum: (row.n, row.positive) for row in found.rows}
    assert counts["all"] == (40, 20)
    assert counts["all_snv"] == (20, 4)  # half of them are written with an unchanged base
    assert counts["all_indel"] == (20, 16)
    assert counts["deep_intron_indel"] == (0, 0)


def test_each_stratum_is_followed_by_its_snvs_and_its_indels(
    planted: Genome, judge: Callable[..., Evaluation]
) -> None:
    found = judge(mixed(planted, positive_indels=16, negative_indels=4))
    strata = list(dict.fromkeys(row.stratum for row in found.rows))
    assert strata[:6] == ["all", "all_snv", "all_indel", "within_50", "within_50_snv", "within_50_indel"]
    assert len(strata) == 30
    for whole, *parts in zip(strata[::3], strata[1::3], strata[2::3], strict=True):
        assert parts == [f"{whole}_snv", f"{whole}_indel"]


def test_mnvs_are_in_the_whole_stratum_only(planted: Genome, judge: Callable[..., Evaluation]) -> None:
    bases = planted.contigs["judged"][250:252]
    mnv = planted.allele("judged", 250, 2, "".join("ACGT"["ACGT".index(base) - 1] for base in bases))
    found = judge([*mixed(planted, positive_indels=10, negative_indels=10), row(mnv, positive=True, score=1)])
    counts = {row.stratum: row.n for row in found.rows}
    assert (counts["all"], counts["all_snv"], counts["all_indel"]) == (41, 20, 20)


def test_printed_table_omits_parts_that_are_empty_or_the_whole(
    planted: Genome, judge: Callable[..., Evaluation]
) -> None:
    snvs = judge(mixed(planted, positive_indels=0, negative_indels=0))
    assert {row.stratum for row in distinct_rows(snvs)} == {
        row.stratum for row in snvs.rows if not row.part_of
    }
    both = judge(mixed(planted, positive_indels=10, negative_indels=10))
    shown = {row.stratum for row in distinct_rows(both)}
    assert {"all", "all_snv", "all_indel", "within_50_snv", "exon"} <= shown
    assert not shown & {"exon_snv", "deep_intron_indel"}


def test_unequal_fractions_of_indels_are_warned_of_and_recorded(
    planted: Genome, judge: Callable[..., Evaluation], caplog: pytest.LogCaptureFixture
) -> None:
    found = judge(mixed(planted, positive_indels=16, negative_indels=4))
    (warning,) = [record for record in caplog.records if "unequal fractions" in record.message]
    assert warning.levelname == "WARNING"
    assert "rows of SNVs and of indels" in warning.message
    text = "all: indels are 80.0% of the positives and 20.0% of the negatives"
    assert text in warning.message
    (line,) = [line for line in tsv_lines(found) if line.startswith("##evaluateUnequalIndels=")]
    assert text in line


@pytest.mark.parametrize("truth", [LABELS, Effects(field="DPSI")])
def test_no_warning_of_equal_fractions_or_measured_effects(
    planted: Genome,
    judge: Callable[..., Evaluation],
    caplog: pytest.LogCaptureFixture,
    truth: Labels | Effects,
) -> None:
    positive_indels = 16 if isinstance(truth, Effects) else 10
    found = judge(mixed(planted, positive_indels=positive_indels, negative_indels=10), truth)
    assert "unequal" not in caplog.text
    assert not any("Unequal" in line for line in tsv_lines(found))
    assert {"all_snv", "all_indel"} <= {row.stratum for row in found.rows}


@pytest.mark.parametrize(
    ("positives", "negatives", "unequal"),
    [
        ((16, 20), (4, 20), True),
        ((4, 20), (16, 20), True),
        ((2, 3), (0, 3), False),  # p = 0.4
        ((8, 10), (2, 10), False),  # p = 0.02
        ((740, 5_000), (500, 5_000), False),  # p < 0.01, 4.8 percentage points apart
        ((760, 5_000), (500, 5_000), True),  # 5.2 percentage points apart
        ((20, 20), (0, 0), False),
        ((0, 0), (20, 20), False),
    ],
)
def test_fractions_are_unequal_where_chance_is_unlikely_and_the_difference_large(
    positives: tuple[int, int], negatives: tuple[int, int], unequal: bool
) -> None:
    indel = np.concatenate([np.arange(total) < count for count, total in (positives, negatives)])
    positive = np.repeat([True, False], [positives[1], negatives[1]])
    everything, nothing = np.ones(len(indel), bool), np.zeros(len(indel), bool)
    found = find_imbalances(indel, positive, {"here": everything, "empty": nothing})
    assert list(found) == (["here"] if unequal else [])
