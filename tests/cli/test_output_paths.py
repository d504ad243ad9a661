"""No command writes in the place of its inputs, and what is no regular file is written into or refused."""

import os
import pathlib
import stat
import subprocess
import sys
from collections.abc import Sequence

import pytest

from tests.builders import vcf_row, write_vcf
from tests.cli.here import run_here
from tests.cli.scoring import Bench
from tests.conftest import ReadFifo
from tests.report.scored import Scored, write_scored
from tests.train.toy import RECIPE
from vepscore.io.quantiles import quantiles_name

QUANTILES = quantiles_name("human", 16_384, "float32")
MODEL = ("--window", "16384", "--precision", "float32")
FILES = {
    "in.vcf": "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n",
    "ref.fa": ">chr1\nACGT\n",
    "ref.fa.fai": "chr1\t4\t6\t4\t5\n",
    "ref.tsv": ">chr1\nACGT\n",
    "polya.tsv": "gene_id\tchrom\tstart\tstrand\n",
    "genes.gtf": "genes",
    "genes.tsv": "genes",
    "genes.html": "genes",
    "genes.svg": "genes",
    "metadata.textproto": "metadata",
    "checkpoint/config.json": "{}",
    "checkpoint/tracks.parquet": "tracks",
    f"made/{QUANTILES}": "##fileformat=VCFv4.2\n",
    "made/prediction.json": ">chr1\nACGT\n",
    "made/old.bw": ">chr1\nACGT\n",
    "recipe.toml": RECIPE,
    "trained/teacher-1/log.jsonl": RECIPE,
    "official/_METADATA": "{}",
    "a.vcf": "a part",
}
REFERENCE = ("-r", "ref.fa", *MODEL)

# command → the arguments of a run whose output is an input
REPLACING = {
    "score: the reference": ("score", "in.vcf", *REFERENCE, "--json-summary", "ref.fa"),
    "score: its index": ("score", "in.vcf", *REFERENCE, "--json-summary", "ref.fa.fai"),
    "score: poly(A) sites": ("score", "in.vcf", *REFERENCE, "--polya", "polya.tsv", "--table", "polya.tsv"),
    "score: genes": ("score", "in.vcf", *REFERENCE, "-g", "genes.gtf", "--json-summary", "genes.gtf"),
    "score: track metadata": (
        *("score", "in.vcf", *REFERENCE, "--metadata", "metadata.textproto"),
        *("--json-summary", "metadata.textproto"),
    ),
    "score: the checkpoint": (
        *("score", "in.vcf", *REFERENCE, "-c", "./checkpoint"),
        *("--json-summary", "checkpoint/config.json"),
    ),
    "score: the official checkpoint": (
        *("score", "in.vcf", *REFERENCE, "-c", "./official"),
        *("--json-summary", "official/_METADATA"),
    ),
    "score: quantiles": (
        *("score", "in.vcf", *REFERENCE, "--quantiles", "made"),
        *("-o", f"made/{QUANTILES}"),
    ),
    "score: the input by a link": ("score", "in.vcf", *REFERENCE, "-o", "link.vcf"),
    "score: the input by a hard link": ("score", "in.vcf", *REFERENCE, "-o", "hard.vcf"),
    "calibrate: the background": ("calibrate", f"made/{QUANTILES}", *REFERENCE, "-o", "made"),
    "predict: the reference in the list's place": (
        *("predict", "chr1:1-2", "-r", "made/prediction.json", *MODEL),
        *("-o", "made"),
    ),
    "predict: the reference in a track's place": (
        "predict",
        "chr1:1-2",
        "-r",
        "made/old.bw",
        *MODEL,
        "-o",
        "made",
    ),
    "ism: the checkpoint": (
        *("ism", "chr1:1-2", "-r", "real.fa", *MODEL, "-c", "./checkpoint"),
        *("-o", "checkpoint/tracks.parquet"),
    ),
    "merge: a part": ("merge", "in.vcf", "a.vcf", "-o", "a.vcf"),
    "rank: genes": ("rank", "in.vcf", "-g", "genes.tsv", "-o", "genes.tsv"),
    "rank: a list of genes": ("rank", "in.vcf", "--gene", "genes.tsv", "-o", "./genes.tsv"),
    "report: genes": ("report", "in.vcf", "-g", "genes.html", "-o", "genes.html"),
    "report: a list of genes": ("report", "in.vcf", "--gene", "genes.html", "-o", "genes.html"),
    "plot: genes": ("plot", "in.vcf", "-g", "genes.svg", "-o", "genes.svg"),
    "evaluate: the reference": (
        *("evaluate", "in.vcf", "-r", "ref.tsv", "-g", "genes.gtf"),
        *("--effect", "X", "-o", "ref.tsv"),
    ),
    "evaluate: sequence of the baseline": (
        *("evaluate", "in.vcf", "-r", "ref.fa", "-g", "genes.gtf"),
        *("--effect", "X", "--pwm-fasta", "ref.tsv", "-o", "ref.tsv"),
    ),
    "train: the recipe": ("train", "trained/teacher-1/log.jsonl", ".", "-o", "trained"),
    "weights import: within its source": (
        *("weights", "import", "official", "--metadata", "human:metadata.textproto"),
        *("-o", "official/new"),
    ),
}


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The working directory, with FILES and links to the VCF."""
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "real.fa").write_text(">chr1\nACGT\n")
    (tmp_path / "link.vcf").symlink_to("in.vcf")
    (tmp_path / "hard.vcf").hardlink_to("in.vcf")
    return tmp_path


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith("real.fa")
    }


@pytest.mark.parametrize("case", REPLACING)
def test_output_in_the_place_of_an_input_is_refused(folder: pathlib.Path, case: str) -> None:
    before = contents(folder)
    ended = run_here(*REPLACING[case])
    assert ended.status == 2, ended.said
    said = "is in the input directory" if case.startswith("weights") else "would replace an input"
    assert said in ended.said
    assert contents(folder) == before


# arguments of runs whose output is a FIFO, of a format or place that needs another thing
REFUSED = [
    ("score", "in.vcf", *REFERENCE, "-o", "fifo.bcf"),
    ("score", "in.vcf", *REFERENCE, "-o", "fifo.vcf.gz"),
    ("score", "in.vcf", *REFERENCE, "--table", "fifo.parquet"),
    ("score", "in.vcf", *REFERENCE, "-o", "/dev/stdout", "--json-summary", "-"),
    ("calibrate", "in.vcf", *REFERENCE, "-o", "fifo"),
    ("predict", "chr1:1-2", *REFERENCE, "-o", "fifo"),
    ("ism", "chr1:1-2", *REFERENCE, "-o", "fifo.parquet"),
    ("merge", "in.vcf", "a.vcf", "-o", "fifo.vcf.gz"),
    ("rank", "in.vcf", "-o", "fifo.tsv.gz"),
    ("plot", "in.vcf", "-o", "fifo"),
    ("evaluate", "in.vcf", *REFERENCE[:2], "-g", "genes.gtf", "--effect", "X", "-o", "/dev/stdout"),
    ("train", "recipe.toml", ".", "-o", "fifo"),
    ("weights", "import", "official", "--metadata", "human:metadata.textproto", "-o", "fifo"),
    ("weights", "fetch", "alphagenome-fold-0", "--accept-terms", "-o", "fifo"),
]


@pytest.mark.parametrize("arguments", REFUSED, ids=lambda arguments: f"{arguments[0]} {arguments[-1]}")
def test_stream_that_cannot_take_the_output_is_refused(
    folder: pathlib.Path, arguments: Sequence[str]
) -> None:
    fifos = [folder / f"fifo{suffix}" for suffix in ("", ".bcf", ".vcf.gz", ".parquet", ".tsv.gz")]
    for fifo in fifos:
        os.mkfifo(fifo)
    ended = run_here(*arguments)
    assert ended.status == 2, ended.said
    assert all(stat.S_ISFIFO(fifo.stat().st_mode) for fifo in fifos)


def test_score_writes_into_fifos(bench: Bench, tmp_path: pathlib.Path, read_fifo: ReadFifo) -> None:
    write_vcf(tmp_path / "in.vcf", vcf_row("chr1", 16_000, 1, "<DEL>"))
    files = ("-o", "out.vcf", "--table", "out.tsv")
    os.mkdir(tmp_path / "pipes")
    pipes = [tmp_path / "pipes" / name for name in ("out.vcf", "out.tsv", "out.json")]
    received = [read_fifo(pipe) for pipe in pipes]
    options = ("-s", "DNASE", "-o", pipes[0], "--table", pipes[1], "--json-summary", pipes[2])
    done = bench.score("in.vcf", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert bench.score("in.vcf", "-s", "DNASE", *files, cwd=tmp_path).returncode == 0
    text, table, summary = (future.result(10) for future in received)
    assert text == (tmp_path / "out.vcf").read_bytes()
    assert table == (tmp_path / "out.tsv").read_bytes()
    assert b'"SYMBOLIC": 1' in summary
    assert all(stat.S_ISFIFO(pipe.stat().st_mode) for pipe in pipes)
    assert len(os.listdir(tmp_path / "pipes")) == 3


def test_score_writes_to_the_null_device_and_to_standard_output(bench: Bench, tmp_path: pathlib.Path) -> None:
    write_vcf(tmp_path / "in.vcf", vcf_row("chr1", 16_000, 1, "<DEL>"))
    done = bench.score(
        "in.vcf", "-s", "DNASE", "-o", "/dev/stderr", "--json-summary", "-", "-q", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.startswith(b"{") and done.stdout.endswith(b"}\n")
    assert done.stderr.startswith(b"##fileformat=VCF")
    assert os.listdir(tmp_path) == ["in.vcf"]


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Scored:
    return write_scored(tmp_path_factory.mktemp("scored"))


@pytest.mark.parametrize("command", ["rank out.tsv", "report out.html", "plot out.svg"])
def test_what_is_made_of_a_scored_file_goes_into_a_fifo(
    scored: Scored, tmp_path: pathlib.Path, read_fifo: ReadFifo, command: str
) -> None:
    name, output = command.split()
    received = read_fifo(tmp_path / output)
    ended = run_here(name, scored.vcf, "-o", tmp_path / output)
    assert ended.status == 0, ended.said
    (tmp_path / output).unlink()
    assert run_here(name, scored.vcf, "-o", tmp_path / output).status == 0
    assert received.result(10) == (tmp_path / output).read_bytes()


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1"])
def test_rank_appends_to_standard_output(scored: Scored, tmp_path: pathlib.Path, name: str) -> None:
    with (tmp_path / "all.txt").open("ab") as file:
        file.write(b"before\n")
        file.flush()
        command = [sys.executable, "-c", "from vepscore.cli.main import main; main()"]
        subprocess.run([*command, "rank", scored.vcf, "-o", name], stdout=file, check=True)
        file.write(b"after\n")
    lines = (tmp_path / "all.txt").read_text().splitlines()
    assert (lines[0], lines[1].partition("=")[0], lines[-1]) == ("before", "##rankVersion", "after")
