"""`vepscore evaluate` of several files: one table, on the alleles that all of them score."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest

from tests.cli.commands import vepscore
from tests.evaluate.planted import Genome, info_line, write_scored
from vepscore.errors import InputError
from vepscore.evaluate.comparison import (
    Comparison,
    ComparisonOptions,
    VariantKind,
    compare,
    comparison_lines,
)
from vepscore.evaluate.metrics import auroc, estimate_difference
from vepscore.evaluate.scored_file import pangolin_delta, read_scored_file, spliceai_delta
from vepscore.evaluate.truth import Labels
from vepscore.genome.alleles import Allele

LABELS = Labels.parse("CLNSIG", "Pathogenic", "Benign")
META = (
    info_line("CLNSIG", "1", "String"),
    info_line("VS_STATUS", "A", "String"),
    info_line("VS_SPLICE", "A", "Float"),
)
KINDS = {VariantKind.SNV: 60, VariantKind.INSERTION: 20, VariantKind.DELETION: 20, VariantKind.MNV: 10}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scored:
    """Alleles with their truth, and the scores of three programs of decreasing quality."""

    alleles: list[Allele]
    kinds: list[VariantKind]
    positive: np.ndarray  # bool (N,)
    scores: Mapping[str, np.ndarray]  # (N,), to two decimals


@pytest.fixture(scope="module")
def scored(planted: Genome) -> Scored:
    rng = np.random.default_rng(0)
    kinds = [kind for kind, count in KINDS.items() for _ in range(count)]
    alleles = [allele_of(planted, kind, 30 * index + 30) for index, kind in enumerate(kinds)]
    positive = np.arange(len(kinds)) % 2 == 0
    scores = {
        name: np.round(np.clip(positive * 0.4 + noise * rng.random(len(kinds)), 0, 1), 2)
        for name, noise in (("ours", 0.5), ("spliceai", 0.8), ("table", 1.5))
    }
    return Scored(alleles=alleles, kinds=kinds, positive=positive, scores=scores)


def allele_of(genome: Genome, kind: VariantKind, pos0: int) -> Allele:
    bases = genome.contigs["judged"]
    other = "ACGT"["ACGT".index(bases[pos0]) - 1]
    if kind is VariantKind.SNV:
        return genome.snv("judged", pos0)
    if kind is VariantKind.INSERTION:
        return genome.allele("judged", pos0, 1, bases[pos0] + other + other)
    if kind is VariantKind.DELETION:
        return genome.allele("judged", pos0, 3, bases[pos0])
    return genome.allele("judged", pos0, 2, other + "ACGT"["ACGT".index(bases[pos0 + 1]) - 1])


@pytest.fixture(scope="module")
def files(scored: Scored, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A bgzipped VCF with labels, a VCF of SpliceAI with a line for each gene, and a table; each lacks alleles."""
    folder = tmp_path_factory.mktemp("compared")
    rows, lines, table = [], [], []
    for index, allele in enumerate(scored.alleles):
        ours, theirs, third = (scored.scores[name][index] for name in ("ours", "spliceai", "table"))
        label = f"CLNSIG={'Pathogenic' if scored.positive[index] else 'Benign'}"
        status = "REF_MISMATCH" if index == 0 else "OK"
        rows.append((allele, f"{label};VS_STATUS={status};VS_SPLICE={ours:.2f}"))
        if index != 1:
            for gene, score in (("ONE", theirs), ("TWO", 0.0)):
                delta = f"{allele.alt}|{gene}|0.00|{score:.2f}|0.00|0.00|1|2|3|4"
                lines.append((allele, f"SpliceAI={delta}"))
        row = ("judged", allele.pos0 + 1, allele.ref, allele.alt, "OK", np.nan if index == 2 else third)
        table.append(row)
    plain = write_scored(folder / "ours.vcf", rows, META)
    pysam.tabix_compress(str(plain), f"{plain}.gz")
    theirs = write_scored(folder / "spliceai.vcf", lines, [info_line("SpliceAI", ".", "String")])
    columns = ["chrom", "pos", "ref", "alt", "VS_STATUS", "VS_SPLICE"]
    pd.DataFrame(table, columns=columns).to_parquet(folder / "table.parquet")
    return folder / "ours.vcf.gz", theirs, folder / "table.parquet"


def options_of(planted: Genome, *sources: Path, scores: tuple[str, ...] | None = None) -> ComparisonOptions:
    return ComparisonOptions(
        sources=tuple(map(str, sources)),
        reference=planted.fasta,
        truth=LABELS,
        scores=scores,
        chromosomes=(),
        resamples=200,
        seed=0,
    )


@pytest.fixture(scope="module")
def comparison(planted: Genome, files: tuple[Path, ...]) -> Comparison:
    return compare(options_of(planted, *files))


def test_a_row_for_each_file_and_kind(comparison: Comparison) -> None:
    assert [(row.kind, row.file, row.score) for row in comparison.rows] == [
        (kind, file, score)
        for kind in VariantKind
        for file, score in (
            ("ours.vcf.gz", "VS_SPLICE"),
            ("spliceai.vcf", "SpliceAI"),
            ("table.parquet", "VS_SPLICE"),
        )
    ]
    expected = {VariantKind.ALL: sum(KINDS.values()) - 3} | KINDS | {VariantKind.SNV: 57}
    assert all(row.n == expected[row.kind] for row in comparison.rows)


def test_alleles_that_a_file_does_not_score_are_excluded_from_all(comparison: Comparison) -> None:
    assert comparison.excluded == {
        "ours.vcf.gz: not scored (REF_MISMATCH)": 1,
        "spliceai.vcf: not in the file": 1,
        "table.parquet: no VS_SPLICE": 1,
    }
    assert (comparison.compared, comparison.alleles) == (107, 110)


def test_values_are_those_of_scikit_learn(comparison: Comparison, scored: Scored) -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    for row in comparison.rows:
        name = {"ours.vcf.gz": "ours", "spliceai.vcf": "spliceai", "table.parquet": "table"}[row.file]
        inside = np.array([row.kind in (VariantKind.ALL, kind) for kind in scored.kinds])
        inside[:3] = False
        truth, scores = scored.positive[inside], scored.scores[name][inside]
        area, precision = row.metrics
        assert area.value.value == pytest.approx(roc_auc_score(truth, scores))
        assert precision.value.value == pytest.approx(average_precision_score(truth, scores))
        assert area.value.low <= area.value.value <= area.value.high


def test_differences_are_paired(comparison: Comparison) -> None:
    """The interval of the difference is narrower than that of independent resamples."""
    first, second, third = (row.metrics[0] for row in comparison.rows[:3])
    assert np.isnan(first.difference.value)
    for other in (second, third):
        assert other.difference.value == pytest.approx(other.value.value - first.value.value)
        assert other.difference.low <= other.difference.value <= other.difference.high
    assert third.difference.high < 0


def test_interval_of_equal_scores_has_no_width() -> None:
    rng = np.random.default_rng(0)
    scores, truth = rng.random(50), np.arange(50) % 2.0
    found = estimate_difference(auroc, 2 * scores, scores, truth, truth.astype(int), resamples=100, seed=0)
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_other_spelling_of_an_allele_is_the_same_allele(planted: Genome, tmp_path: Path) -> None:
    bases = planted.contigs["judged"]
    rows = [(planted.snv("judged", pos0), f"CLNSIG={label};VS_SPLICE=0.{pos0}") for pos0, label in LABELLED]
    first = write_scored(tmp_path / "a.vcf", rows, META)
    padded = [
        (
            planted.allele("judged", pos0, 3, planted.snv("judged", pos0).alt + bases[pos0 + 1 : pos0 + 3]),
            info,
        )
        for (pos0, _), (_, info) in zip(LABELLED, rows, strict=True)
    ]
    second = write_scored(tmp_path / "b.vcf", padded, META)
    comparison = compare(options_of(planted, first, second))
    assert (comparison.compared, comparison.excluded) == (4, {})
    assert comparison.rows[1].metrics[0].difference.value == 0


LABELLED = [(11, "Pathogenic"), (22, "Benign"), (33, "Pathogenic"), (44, "Benign")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("C|A|0.01|0.50|0.00|0.20|1|2|3|4", 0.5),
        ("C|A|.|.|.|.|.|.|.|.", np.nan),
        ("G|A|0.90|0|0|0|1|2|3|4,C|A|0.1|0|0|0|1|2|3|4,C|B|0|0|0.3|0|1|2|3|4", 0.3),
    ],
)
def test_delta_score_of_spliceai(text: str, expected: float) -> None:
    np.testing.assert_equal(spliceai_delta(text, "C"), expected)


def test_delta_score_of_pangolin() -> None:
    text = "ENSG1|3:0.1|-7:-0.45|Warnings:,ENSG2|1:0.2|2:-0.0|Warnings:NoAnnotatedSites"
    assert pangolin_delta(text, "C") == 0.45
    assert np.isnan(pangolin_delta("ENSG1_sites1|NA|ENSG1_sites2|Warnings:", "C"))


def test_malformed_text_names_the_record(planted: Genome, tmp_path: Path) -> None:
    rows = [(planted.snv("judged", 40), "SpliceAI=0.5")]
    path = write_scored(tmp_path / "bad.vcf", rows, [info_line("SpliceAI", ".", "String")])
    with pytest.raises(InputError, match=r"record 0, judged:41 .*\n.*SpliceAI is '0.5'\n.*ALLELE"):
        read_scored_file(str(path), planted.reference, None)


def test_file_without_a_score_names_its_fields(planted: Genome, files: tuple[Path, ...]) -> None:
    with pytest.raises(InputError, match="none of the scores OTHER; it has SpliceAI"):
        read_scored_file(str(files[1]), planted.reference, ["OTHER"])


def test_command_prints_and_writes_the_table(
    planted: Genome, files: tuple[Path, ...], comparison: Comparison, tmp_path: Path
) -> None:
    output = tmp_path / "table.tsv"
    truth = ("--label", "CLNSIG", "--positive", "Pathogenic", "--negative", "Benign", "--bootstrap", "200")
    done = vepscore("evaluate", *map(str, files), "-r", str(planted.fasta), *truth, "-o", str(output))
    assert done.returncode == 0, done.stderr
    assert "107 of 110 alternate alleles are evaluated\n" in done.stderr
    assert "1 excluded: spliceai.vcf: not in the file\n" in done.stderr
    assert output.read_text().splitlines() == list(comparison_lines(comparison))
    header, *rows = [line.split("\t") for line in output.read_text().splitlines() if line[:2] != "##"]
    assert header[:6] == ["file", "score", "kind", "n", "n_positive", "auroc"]
    assert {len(row) for row in rows} == {len(header)} == {17}
    printed = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[:3] for row in printed[:2]] == [
        ["all", "ours.vcf.gz", "VS_SPLICE"],
        ["all", "spliceai.vcf", "SpliceAI"],
    ]
    assert printed[0][6] == "" and printed[1][6].startswith("-0.")


def test_one_file_needs_genes(planted: Genome, files: tuple[Path, ...]) -> None:
    truth = ("--label", "CLNSIG", "--positive", "Pathogenic", "--negative", "Benign")
    done = vepscore("evaluate", str(files[0]), "-r", str(planted.fasta), *truth)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--genes is missing" in done.stderr
