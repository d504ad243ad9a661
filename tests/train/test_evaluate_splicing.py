"""Comparison of checkpoints with teachers: tables of a checkpoint that is its own teacher, and their parts."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import evaluate_splicing
import numpy as np
import pysam
import pytest
import splicing_scores
import splicing_variants
from draw_background import Variant
from evaluate_held_out import list_tiles
from evaluate_splicing import Evaluation, Table, correlate, delta_scores
from scipy.stats import pearsonr, spearmanr
from splicing_scores import EngineDeltas, EvaluatedCheckpoint, Source

from tests.builders import build_genome, sequences, vcf_row
from tests.train.scripts import run_script
from tests.train.splicing.toy_splicing import write_teacher
from vepscore.genome.annotation import Annotation
from vepscore.genome.fasta import Reference
from vepscore.model.registry import embedded_checkpoint

EXON_BP = 200  # the tiny genome has no positions that are 1 kb from exons
# Positions near splice sites of chr1, but not the canonical two bases; every other one is pathogenic.
LABELED = [480, 490, 1_480, 1_490, 1_708, 2_785, 12_310, 12_320, 15_790, 17_590]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the tiny genome under the names that the script reads."""
    folder = tmp_path_factory.mktemp("data")
    genome = build_genome(folder)
    bases = "".join(np.random.default_rng(0).choice(list("ACGT"), 9_000))
    (folder / "slice.fa").write_text(f">chr1:50001-59000\n{bases}\n")
    for source, name in zip((genome.fasta, folder / "slice.fa"), evaluate_splicing.SEQUENCE, strict=False):
        pysam.tabix_compress(str(source), str(folder / name))
    (folder / "slice.fa").write_text(f">chr3:50001-59000\n{bases}\n")
    pysam.tabix_compress(str(folder / "slice.fa"), str(folder / evaluate_splicing.SEQUENCE[2]))
    pysam.tabix_compress(str(genome.gtf), str(folder / evaluate_splicing.GENES))
    (folder / "labels.vcf").write_text("".join(_labeled_lines()))
    pysam.tabix_compress(str(folder / "labels.vcf"), str(folder / evaluate_splicing.CLINVAR))
    return folder


def _labeled_lines() -> list[str]:
    lines = [
        "##fileformat=VCFv4.2\n",
        '##INFO=<ID=CLNSIG,Number=1,Type=String,Description="Class">\n',
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n",
    ]
    for number, pos0 in enumerate(LABELED):
        label = "Pathogenic" if number % 2 else "Benign"
        for row in (vcf_row("chr1", pos0, 1, "~"), vcf_row("chr1", pos0, 3, sequences()["chr1"][pos0])):
            lines.append("\t".join((*row, ".", ".", f"CLNSIG={label}")) + "\n")
    return lines


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a small ensemble of the architecture of SpliceAI as a checkpoint."""
    return write_teacher(tmp_path_factory.mktemp("ensemble"))


@pytest.fixture
def source(data: Path) -> Source:
    return Source(
        reference=data / evaluate_splicing.SEQUENCE[0],
        genes=data / evaluate_splicing.GENES,
    )


def read_tables(text: str) -> Mapping[str, list[dict[str, str]]]:
    """Return the rows of each table by the first word of its title."""
    tables = {}
    for part in text.split("### ")[1:]:
        title, _, *lines = part.splitlines()
        rows = [line[2:-2].split(" | ") for line in lines if line]
        tables[title.split()[0]] = [dict(zip(rows[0], row, strict=False)) for row in rows[2:]]
    return tables


def compare(
    data: Path, checkpoint: Path, cache: Path, window: str, *tables: Table
) -> Mapping[str, list[dict[str, str]]]:
    """Run the script on a checkpoint that is its own teacher."""
    options = ["--teacher", checkpoint, "--cache", cache, "--chromosomes", "chr1", "--shifted", 2]
    options += ["--snvs", 12, "--indels", 9, "--window", "16kb", "--window", window]
    options += [word for table in tables for word in ("--table", table)]
    copy = shutil.copytree(checkpoint, cache / "copy")
    done = run_script("evaluate_splicing.py", data, copy, *options, cwd=cache)
    assert done.returncode == 0, done.stderr
    return read_tables(done.stdout)


@pytest.mark.slow
@pytest.mark.ci
def test_the_embedded_checkpoint_equals_itself_as_a_teacher(data: Path, tmp_path: Path) -> None:
    tables = compare(
        data, embedded_checkpoint(), tmp_path, "20480", *(set(Table) - {Table.DELTAS, Table.CALLS})
    )
    assert {row["difference from the mean of the teachers"] for row in tables["ClinVar"]} == {
        "",
        "+0.000 (+0.000 to +0.000)",
    }
    of_checkpoint, of_teacher, of_mean = np.split(np.array(tables["Splice"]), 3)
    assert all("0." in row["donors, AUPRC"] for row in of_checkpoint)
    for rows in (of_teacher, of_mean):
        assert [row | {"checkpoint": ""} for row in rows] == [
            row | {"checkpoint": ""} for row in of_checkpoint
        ]
    assert [(row["window"], row["variants"]) for row in tables["VS_SPLICE"]] == [("20480", "2")]
    assert len(tables["Largest"]) == 1


def test_deltas_of_the_engine_and_of_what_a_variant_reaches_are_equal(
    source: Source, ensemble: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bases = sequences()["chr1"]
    variants = [
        Variant(0, 12_350, bases[12_350], "ACGT"["ACGT".find(bases[12_350]) - 1]),
        Variant(0, 12_400, bases[12_400:12_404], bases[12_400]),
        Variant(0, 14_000, bases[14_000], bases[14_000] + "GTA"),
        Variant(0, 14_190, bases[14_190:14_192], bases[14_190]),
    ]
    strand = np.array([0, 1, 0, 1])
    first = EvaluatedCheckpoint(ensemble, "", tmp_path / "first", source).read_deltas(variants, strand)
    monkeypatch.setattr(splicing_scores, "ProgramDeltas", lambda job, source, _: EngineDeltas(job, source))
    other = EvaluatedCheckpoint(ensemble, "", tmp_path / "other", source).read_deltas(variants, strand)
    assert first.shape == (4, 101, 2)
    assert (np.abs(first).max(axis=(1, 2)) > 0.001).all()
    np.testing.assert_allclose(first, other, atol=1e-4)


def test_a_checkpoint_correlates_with_itself_and_is_read_from_the_cache(
    data: Path,
    source: Source,
    ensemble: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(splicing_variants, "EXON_BP", EXON_BP)
    evaluate_splicing.print_deltas(
        evaluate(data, source, EvaluatedCheckpoint(ensemble, "small", tmp_path, source))
    )
    first = capsys.readouterr().out
    monkeypatch.setattr(EvaluatedCheckpoint, "_deltas", None)
    evaluate_splicing.print_deltas(
        evaluate(data, source, EvaluatedCheckpoint(ensemble, "small", tmp_path, source))
    )
    assert capsys.readouterr().out == first
    rows = [line[2:-2].split(" | ") for line in first.splitlines() if line.startswith(("| SNV", "| indel"))]
    assert [row[3] for row in rows] == ["16"] * 3 + ["12"] * 3
    assert [row[4:6] for row in rows] == [["1.000", "1.000"]] * 6


def evaluate(data: Path, source: Source, *checkpoints: EvaluatedCheckpoint) -> Evaluation:
    """Return an evaluation of checkpoints that are their own teachers."""
    options = {"chromosomes": ["chr1"], "snvs": 12, "indels": 9, "shifted": 2, "windows": []}
    return Evaluation(checkpoints=checkpoints, teachers=checkpoints, data=data, source=source, **options)


def test_only_the_valid_part_of_a_tile_is_predicted(
    data: Path, source: Source, ensemble: Path, tmp_path: Path
) -> None:
    opened = EvaluatedCheckpoint(ensemble, "small", tmp_path, source)
    (tile, *_) = list_tiles(evaluate(data, source).sites, 32_768)
    valid = np.zeros_like(tile.valid)
    valid[1_000:3_000] = valid[4_000:4_100] = True
    part = opened.read_sites(tile._replace(valid=valid))
    np.testing.assert_allclose(part, opened.predict_sites(tile)[valid], atol=1e-3)


def test_random_variants_are_of_their_stratum_and_strand(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splicing_variants, "EXON_BP", EXON_BP)
    annotation = Annotation.from_gtf(source.genes)
    random = splicing_variants.draw_random(source.genome, annotation, ["chr1"], snvs=12, indels=9, seed=0)
    assert np.bincount(random.stratum).tolist() == [7, 7, 7]
    sites, _ = annotation.splice_sites("chr1", 0, 30_000)
    for variant, strand, stratum in zip(*random, strict=True):
        genes = annotation.genes_overlapping("chr1", variant.pos0, variant.pos0 + 1)
        assert {gene.strand for gene in genes} == {"+-"[strand]}
        from_exon = min(
            max(start0 - variant.pos0, variant.pos0 - end0 + 1, 0)
            for gene in annotation.genes_overlapping("chr1", 0, 30_000)
            for start0, end0 in annotation.exons_of(gene)
        )
        near = np.abs(sites - variant.pos0).min() <= 51
        assert stratum == (0 if near else 1 if from_exon <= EXON_BP else 2)


def test_labeled_variants_are_near_sites_and_have_their_labels(data: Path, source: Source) -> None:
    annotation = Annotation.from_gtf(source.genes)
    found = splicing_variants.read_labeled(
        data / evaluate_splicing.CLINVAR, source.genome, annotation, ["chr1"], 1.0
    )
    snvs = [
        (variant.pos0, positive) for variant, positive in zip(*found, strict=True) if len(variant.ref) == 1
    ]
    assert snvs == [(pos0, bool(number % 2)) for number, pos0 in enumerate(LABELED)]
    for variant in found.variants:
        assert sequences()["chr1"][variant.pos0 :].startswith(variant.ref)
    assert len(found.variants) == 2 * len(LABELED)


def test_delta_scores_are_the_largest_gains_and_losses() -> None:
    deltas = np.zeros((2, 3, 2))
    deltas[0, :, 0] = [0.25, -0.5, 0.125]
    deltas[1, :, 1] = [-0.25, -0.5, -0.125]
    np.testing.assert_array_equal(delta_scores(deltas), [[0.25, 0, 0.5, 0], [0, 0, 0, 0.5]])


def test_calls_of_each_threshold_are_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    largest = {"mean": [0.3, 0.25, 0.2, 0.1, 0, 0.9], "small": [0.4, 0.12, 0, 0.17, 0.06, np.nan]}
    deltas = {name: np.pad(np.array(values)[:, None], ((0, 0), (1, 2))) for name, values in largest.items()}
    found = {"small": deltas["small"]}, deltas["mean"]
    monkeypatch.setattr(evaluate_splicing, "read_delta_scores", lambda _: found)
    evaluate_splicing.print_calls(None)
    table = read_tables(capsys.readouterr().out)["Calls:"]
    columns = ("threshold", "called by the mean", "by the checkpoint", "by both", "F1")
    assert [tuple(row[name] for name in columns) for row in table] == [
        *(
            ("0.05", "3", "4", "2", "0.571"),
            ("0.1", "3", "3", "2", "0.667"),
            ("0.15", "3", "2", "1", "0.400"),
        ),
        *((threshold, "3", "1", "1", "0.500") for threshold in ("0.2", "0.25", "0.3")),
    ]


def test_correlations_equal_those_of_scipy() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 50))
    expected = f"{pearsonr(x, y).statistic:.3f}", f"{spearmanr(x, y).statistic:.3f}"
    assert correlate(x, y) == expected
    assert correlate(x, np.ones(50)) == ("", "")


def test_only_variants_far_from_unknown_bases_are_compared_between_windows(source: Source) -> None:
    far = [splicing_variants.is_far_from_ends(source.genome, Variant(0, pos0, "A", "C"), 100) for pos0 in
           (99, 100, 23_899, 23_900, 29_899, 29_900)]  # fmt: skip
    assert far == [False, True, True, False, True, False]
    assert isinstance(source.genome, Reference)
