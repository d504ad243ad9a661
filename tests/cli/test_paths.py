"""Paths that are not UTF-8 in every command, and users without a home folder."""

import gzip
import json
import os
import pathlib
import shutil
import subprocess
from collections.abc import Mapping, Sequence

import pyarrow.parquet as pq
import pytest

from tests.builders import vcf_row, write_vcf
from tests.cli.here import run_here
from tests.cli.scoring import SCRIPT, Bench, statuses
from tests.io.samples import run_tool
from tests.report.scored import Scored, write_scored

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
NOBODY = ("unshare", "--user", "--map-user=54321", "--map-group=54321")
MODEL = ("--window", "16384", "-s", "DNASE")


def odd(name: str) -> str:
    """A name with a byte that is not UTF-8 in place of "@"."""
    return os.fsdecode(name.encode().replace(b"@", b"\xe9"))


def vepscore(
    *words: str | os.PathLike[str],
    cwd: pathlib.Path,
    prefix: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*prefix, SCRIPT, *words],
        cwd=cwd,
        env=os.environ | (environment or {}),
        capture_output=True,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder whose name is not UTF-8, nor are those of the files that a run needs."""
    folder = tmp_path_factory.mktemp("bytes") / odd("d@p")
    folder.mkdir()
    shutil.copy(bench.genome.fasta, folder / odd("r@f.fa"))
    shutil.copy(bench.genome.gtf, folder / odd("g@nes.gtf"))
    shutil.copytree(bench.checkpoint, folder / odd("ch@ckpoint"))
    write_vcf(folder / odd("l@.vcf"), vcf_row("chr1", 16_000, 1, "<DEL>"))
    return folder


def test_score_reads_and_writes_paths_that_are_not_utf8(folder: pathlib.Path) -> None:
    (folder / "out").mkdir()
    names = {name: odd(f"out/{name}") for name in ("@.vcf.gz", "@.bcf", "@.parquet", "t@.tsv.gz", "j@.json")}
    files = ("-r", odd("r@f.fa"), "-g", odd("g@nes.gtf"), "-c", odd("./ch@ckpoint"))
    outputs = [word for name in list(names)[:3] for word in ("-o", names[name])]
    outputs += ["--table", names["t@.tsv.gz"], "--json-summary", names["j@.json"]]
    environment = {"VEPSCORE_CACHE": odd("c@che")}
    done = vepscore("score", odd("l@.vcf"), *files, *MODEL, *outputs, cwd=folder, environment=environment)
    assert done.returncode == 0, done.stderr
    header = gzip.decompress((folder / names["@.vcf.gz"]).read_bytes()).decode()
    assert r"score 'l\xe9.vcf' -r 'r\xe9f.fa'" in header
    assert (
        r"##vepscoreReference=r\xe9f.fa sha256:" in header.splitlines()[-4] or r"=r\xe9f.fa sha256:" in header
    )
    for name in ("@.vcf.gz", "@.bcf"):
        shutil.copy(folder / names[name], folder.parent / name)  # cyvcf2 reads only UTF-8
        assert statuses(folder.parent / name) == ["SYMBOLIC"]
        assert r"'l\xe9.vcf'" in run_tool("bcftools", "view", "-h", folder.parent / name)
    with (folder / names["@.parquet"]).open("rb") as file:
        assert rb"'l\xe9.vcf'" in pq.read_schema(file).metadata[b"vepscoreCommand"]
    assert json.loads((folder / names["j@.json"]).read_bytes().decode())["input"]["path"] == r"l\xe9.vcf"
    assert (folder / odd("c@che") / "digests").is_dir()
    indexes = {odd("@.vcf.gz.tbi"), odd("@.bcf.csi")}
    assert set(os.listdir(folder / "out")) == {
        *(name.rpartition("/")[2] for name in names.values()),
        *indexes,
    }


def test_locale_without_utf8_takes_the_same_paths(bench: Bench, folder: pathlib.Path) -> None:
    files = ("-r", odd("r@f.fa"), "-c", odd("./ch@ckpoint"))
    done = vepscore(
        *("score", odd("l@.vcf"), *files, *MODEL, "-q"), cwd=folder, environment=bench.environment | ASCII
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"score 'l\xe9.vcf' -r 'r\xe9f.fa'" in done.stdout and b"VS_STATUS=SYMBOLIC" in done.stdout


@pytest.fixture(scope="module")
def scored(folder: pathlib.Path) -> Scored:
    """A scored run under names that are not UTF-8."""
    made = write_scored(folder)
    vcf, parquet, gtf = (
        path.rename(path.with_name(odd(f"@{path.suffix}"))) for path in (made.vcf, made.parquet, made.gtf)
    )
    return Scored(vcf=vcf, parquet=parquet, gtf=gtf)


@pytest.mark.parametrize("source", ["vcf", "parquet"])
@pytest.mark.parametrize("command", ["rank rank@.tsv", "report page@.html", "plot picture@.svg"])
def test_scored_files_whose_paths_are_not_utf8(
    scored: Scored, tmp_path: pathlib.Path, command: str, source: str
) -> None:
    name, output = command.split()
    path = tmp_path / odd(output)
    ended = run_here(name, getattr(scored, source), "-g", scored.gtf, "-o", path)
    assert ended.status == 0, ended.said
    text = path.read_bytes().decode()
    assert name != "report" or rf"\xe9.{source}" in text


def test_message_shows_the_bytes_of_a_path(tmp_path: pathlib.Path) -> None:
    ended = run_here("rank", tmp_path / odd("abs@nt.vcf"))
    assert ended.status == 1
    assert r"abs\xe9nt.vcf" in ended.said and "Traceback" not in ended.said


def test_checkpoint_whose_path_is_not_utf8_is_printed_as_it_is(folder: pathlib.Path) -> None:
    done = vepscore("weights", "verify", odd("./ch@ckpoint"), cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"ch\xe9ckpoint: all checksums match\n"


@pytest.mark.slow
def test_other_commands_take_paths_that_are_not_utf8(bench: Bench, folder: pathlib.Path) -> None:
    write_vcf(folder / odd("b@.vcf"), vcf_row("chr1", 16_000, 1, "~"))
    reference = ("-r", odd("r@f.fa"), "-c", odd("./ch@ckpoint"), "--window", "16384")
    commands = [
        ("predict", "chr1:15,001-15,200", *reference, "--output", "DNASE", "-o", odd("track@")),
        (
            "ism",
            "chr1:15,001-15,002",
            *reference,
            "-s",
            "DNASE",
            "-o",
            odd("@2.parquet"),
            "--picture",
            odd("@2.png"),
        ),
        ("calibrate", odd("b@.vcf"), *reference, "-s", "DNASE", "-o", odd("quantil@")),
        (
            "score",
            odd("b@.vcf"),
            *reference,
            "-s",
            "DNASE",
            "--quantiles",
            odd("quantil@"),
            "-o",
            odd("@3.bcf"),
        ),
        ("score", odd("b@.vcf"), *reference, "-s", "DNASE", "--shard", "1/1", "-o", odd("@4.parquet")),
        ("merge", odd("@4.parquet"), "-o", odd("@5.parquet")),
        ("rank", odd("@3.bcf"), "--by", "dnase"),
    ]
    for command in commands:
        done = vepscore(*command, cwd=folder, environment=bench.environment)
        assert done.returncode == 0, (command, done.stderr)


@pytest.fixture
def homeless() -> tuple[str, ...]:
    """What comes before a command so that its user has no home folder."""
    if (
        shutil.which("unshare") is None
        or subprocess.run([*NOBODY, "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("users cannot be mapped here")
    return (*NOBODY, "env", "-u", "HOME", "-u", "VEPSCORE_CACHE", "-u", "VEPSCORE_WEIGHTS")


def test_score_needs_no_home_and_no_cache(
    bench: Bench, tmp_path: pathlib.Path, homeless: tuple[str, ...]
) -> None:
    write_vcf(tmp_path / "in.vcf", vcf_row("chr1", 16_000, 1, "<DEL>"))
    (tmp_path / "reference").mkdir()
    shutil.copy(bench.genome.fasta, tmp_path / "reference" / "ref.fa")
    (tmp_path / "reference").chmod(0o555)
    files = ("-r", "reference/ref.fa", "-g", bench.genome.gtf, "-c", bench.checkpoint)
    options = (*files, *MODEL, "-o", "out.vcf")
    done = vepscore("score", "in.vcf", *options, cwd=tmp_path, prefix=homeless)
    assert done.returncode == 0, done.stderr
    assert statuses(tmp_path / "out.vcf") == ["SYMBOLIC"]
    assert set(os.listdir(tmp_path)) == {"in.vcf", "reference", "out.vcf"}


def test_plot_needs_no_home(scored: Scored, tmp_path: pathlib.Path, homeless: tuple[str, ...]) -> None:
    done = vepscore("plot", scored.vcf, "-o", "out.svg", cwd=tmp_path, prefix=homeless)
    assert (done.returncode, done.stderr) == (0, b"")
    assert os.listdir(tmp_path) == ["out.svg"]


def test_weights_without_a_home(tmp_path: pathlib.Path, homeless: tuple[str, ...]) -> None:
    listed = vepscore("weights", "list", cwd=tmp_path, prefix=homeless)
    assert listed.returncode == 0 and listed.stdout.count(b"\n") == 1
    fetched = vepscore(
        "weights", "fetch", "alphagenome-fold-0", "--accept-terms", cwd=tmp_path, prefix=homeless
    )
    assert fetched.returncode == 2
    assert b"there is no home directory for the checkpoint" in fetched.stderr
