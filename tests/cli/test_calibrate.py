"""`vepscore calibrate`, and `vepscore score` with what it makes, as users run them."""

import os
import pathlib
import subprocess

import pytest

from tests.builders import vcf_row, write_vcf
from tests.cli.scoring import SCRIPT, Bench, split_vcf
from tests.io.samples import run_tool
from vepscore.genome.alleles import AlleleKind
from vepscore.io.quantiles import quantiles_name, read_quantiles

pytestmark = [pytest.mark.slow, pytest.mark.ci]

SNVS = [vcf_row("chr1", pos0, 1, "~") for pos0 in range(12_000, 20_000, 500)]
INDELS = [vcf_row("chr1", pos0, 2, "~") for pos0 in range(12_100, 20_000, 2_000)]
BACKGROUND = sorted([*SNVS, *INDELS], key=lambda row: int(row[1]))
ALLELES = f"{len(SNVS)} substitutions, {len(INDELS)} indels"
ROWS = (vcf_row("chr1", 14_199, 1, "~"), vcf_row("chr1", 17_001, 1, "~", "<DEL>"), vcf_row("chr1", 18_000, 1))
QUICK = ("-s", "DNASE")
NAME = quantiles_name("human", 16_384, "float32")


def calibrate(bench: Bench, *arguments: str | pathlib.Path, cwd: pathlib.Path) -> subprocess.CompletedProcess:
    options = ["-r", bench.genome.fasta, "-c", bench.checkpoint, "--window", "16kb", "--precision", "float32"]
    command = [SCRIPT, "calibrate", *arguments, *options]
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=os.environ | bench.environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """With quantiles in `made`, a VCF, and what scoring it with them has written."""
    folder = tmp_path_factory.mktemp("calibrate")
    write_vcf(folder / "background.vcf", *BACKGROUND)
    write_vcf(folder / "in.vcf", *ROWS)
    done = calibrate(bench, "background.vcf", *QUICK, "-o", "made", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "" and f"quantiles of {ALLELES}: made/{NAME}\n" in done.stderr
    outputs = ("-o", "out.vcf.gz", "-o", "out.bcf")
    done = bench.score("in.vcf", *QUICK, "--quantiles", "made", *outputs, cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    assert f"quantiles: {NAME}, {ALLELES}\n" in done.stderr.decode()
    return folder


@pytest.mark.parametrize("name", ["out.vcf.gz", "out.bcf"])
def test_bcftools_reads_the_quantiles(folder: pathlib.Path, name: str) -> None:
    text = run_tool("bcftools", "query", "-f", "%VS_DNASE %VS_DNASE_Q %VS_RNA_Q\n", folder / name)
    known = read_quantiles(folder / "made" / NAME)
    lines = [line.split(" ") for line in text.splitlines()]
    assert [line[2] for line in lines] == [".", ".,.", "."]
    for score, quantile in (line[:2] for line in lines[:2]):
        ranked = known.kinds[AlleleKind.SUBSTITUTION].rank_values({"VS_DNASE": float(score.split(",")[0])})
        assert float(quantile.split(",")[0]) == pytest.approx(ranked["VS_DNASE_Q"], abs=1e-4)
    found = run_tool("bcftools", "view", "-H", "-i", "VS_DNASE_Q[0]>=-1 && VS_DNASE_Q[0]<=1", folder / name)
    assert found.count("\n") == 2


def test_same_background_gives_the_same_bytes(
    bench: Bench, folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "background.vcf").write_bytes((folder / "background.vcf").read_bytes())
    done = calibrate(bench, "background.vcf", *QUICK, "-o", ".", "-q", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert (tmp_path / NAME).read_bytes() == (folder / "made" / NAME).read_bytes()


def test_other_window_is_refused_with_what_was_found_and_expected(bench: Bench, folder: pathlib.Path) -> None:
    done = bench.score("in.vcf", *QUICK, "--quantiles", "made", "--window", "32kb", "-o", "x.vcf", cwd=folder)
    assert (done.returncode, done.stdout) == (2, b"")
    message = done.stderr.decode()
    assert "error: --quantiles made\n" in message
    assert f"{NAME}: window: found 16384 bp, expected 32768 bp" in message
    assert "hint: score with those settings" in message
    assert not (folder / "x.vcf").exists()


def test_annotation_with_quantiles_can_be_replaced_by_one_without(bench: Bench, folder: pathlib.Path) -> None:
    again = bench.score("out.vcf.gz", *QUICK, "--overwrite-existing", "--no-quantiles", cwd=folder)
    bare = bench.score("in.vcf", *QUICK, cwd=folder)
    assert (again.returncode, bare.returncode) == (0, 0), again.stderr.decode()
    assert b"_Q" not in again.stdout and b"vepscoreQuantiles" not in again.stdout
    assert split_vcf(again.stdout)[1] == split_vcf(bare.stdout)[1]


def test_wrong_usage_exits_with_2(bench: Bench, folder: pathlib.Path) -> None:
    both = bench.score("in.vcf", *QUICK, "--quantiles", "made", "--no-quantiles", cwd=folder)
    assert (both.returncode, both.stdout) == (2, b"")
    assert "--quantiles and --no-quantiles" in both.stderr.decode()
    assert calibrate(bench, "background.vcf", "-o", "x", "--align", "100", cwd=folder).returncode == 2
    assert calibrate(bench, "background.vcf", cwd=folder).returncode == 2
    assert not (folder / "x").exists()


def test_place_that_cannot_be_made_is_an_error(bench: Bench, folder: pathlib.Path) -> None:
    done = calibrate(bench, "background.vcf", "-o", "in.vcf/new", cwd=folder)
    assert done.returncode == 1
    assert done.stderr.startswith("error: in.vcf/new\n  cannot be written: ")
