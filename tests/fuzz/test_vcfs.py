"""VCFs that nobody checked: every record comes out, or one of our errors and nothing else."""

import contextlib
import gzip
import itertools
import random
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pysam.bcftools
import pytest
from hypothesis import strategies as st

from tests.cli.commands import ROOT
from tests.fuzz.budgets import each_budget, try_out
from tests.fuzz.checks import VCF, annotate, check_vcf
from tests.fuzz.mutations import TOKENS, damaged
from tests.fuzz.vcfs import BGZIP_END, CONTAINERS, bgzip, gzip_of, odd_column_texts, vcf_texts

TEXT_OUTPUTS = [
    {"output": output, "table": table}
    for output, table in itertools.product(
        ("out.vcf", "out.vcf.gz"), ("out.tsv", "out.tsv.gz", "out.parquet")
    )
]
STARTS = (
    b"",
    b"##",
    b"#CHROM\t",
    b"\x1f\x8b",
    b"\x1f\x8b\x08\x04",
    b"BCF\2\2",
    b"BCF",
    b">c\nAC\n",
    b"{",
    b"PK\3\4",
)
BCF_VCF = b"""##fileformat=VCFv4.2
##contig=<ID=chr1,length=30000>
##contig=<ID=17>
##FILTER=<ID=q10,Description="low">
##INFO=<ID=AC,Number=A,Type=Integer,Description="a, b">
##INFO=<ID=DB,Number=0,Type=Flag,Description="c">
##FORMAT=<ID=GT,Number=1,Type=String,Description="d">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ts1
chr1\t16001\t.\tA\tC,<DEL>,*\t.\tPASS\tAC=1,2,3;DB\tGT\t0/1
chr1\t16005\trs1\tAC\tG]17:198982]\t9\tq10\t.\tGT\t./.
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vcf")


@each_budget
def test_valid_file_comes_out_whole(folder: Path, budget: str) -> None:
    def check(text: bytes, container: Callable[[bytes], bytes]) -> None:
        assert check_vcf(container(text), folder, text=text)

    try_out(budget, check, vcf_texts(), st.sampled_from(CONTAINERS))


@each_budget
def test_valid_file_comes_out_in_every_format(folder: Path, budget: str) -> None:
    def check(text: bytes, outputs: dict[str, str]) -> None:
        assert check_vcf(text, folder, **outputs)

    try_out(budget, check, vcf_texts(), st.sampled_from(TEXT_OUTPUTS))


@each_budget
def test_bcf_is_written_whole_or_refused(folder: Path, budget: str) -> None:
    """It has no room for what the header does not declare."""

    def check(text: bytes) -> None:
        (folder / "in.vcf").write_bytes(text)
        annotate(folder / "in.vcf", folder, output="out.bcf")

    try_out(budget, check, vcf_texts())


@each_budget
def test_damaged_file_is_read_or_refused(folder: Path, budget: str) -> None:
    try_out(budget, lambda text: check_vcf(text, folder), damaged(vcf_texts()))


@each_budget
def test_any_lines_below_a_header_are_read_or_refused(folder: Path, budget: str) -> None:
    header = VCF[: VCF.index(b"\nchr1") + 1]
    try_out(budget, lambda body: check_vcf(header + body, folder), st.binary(max_size=300))


@each_budget
def test_damaged_container_never_loses_a_record(folder: Path, budget: str) -> None:
    """Cut short or changed, what is compressed is refused, or nothing is missing."""

    def check(text: bytes, container: Callable[[bytes], bytes], data: st.DataObject) -> None:
        whole = container(text)
        hurt = data.draw(damaged(st.just(whole), 2))
        if hurt.startswith(whole[:4]):
            check_vcf(hurt, folder, text=text_in(hurt, text))

    try_out(budget, check, vcf_texts(), st.sampled_from([gzip_of, bgzip]), st.data())


def test_a_container_that_lost_a_whole_block_is_another_container(folder: Path) -> None:
    """Its blocks and its end are intact, so nothing tells of the loss."""
    whole = bgzip(VCF)
    starts = [found.start() for found in re.finditer(re.escape(whole[:4]), whole)]
    hurt = whole[: starts[1]] + whole[starts[2] :]
    assert text_in(hurt, VCF) == VCF[:200] + VCF[400:]
    assert text_in(hurt[:-1], VCF) == text_in(whole[: starts[-1]], VCF) == VCF


def text_in(hurt: bytes, text: bytes) -> bytes:
    """What has to come out of a damaged container of a text: all of it, but where whole blocks are gone."""
    if hurt.endswith(BGZIP_END):
        with contextlib.suppress(OSError, EOFError, zlib.error):
            return gzip.decompress(hurt)
    return text


@each_budget
def test_whatever_else_is_refused(folder: Path, budget: str) -> None:
    def check(start: bytes, rest: bytes) -> None:
        assert not check_vcf(start + rest, folder)

    try_out(budget, check, st.sampled_from(STARTS), st.binary(max_size=100))


@each_budget
def test_what_bcftools_reads_it_reads_of_the_output_too(folder: Path, budget: str) -> None:
    if shutil.which("bcftools") is None:
        pytest.skip("needs bcftools on the PATH")

    def check(text: bytes) -> None:
        (folder / "in.vcf").write_bytes(text)
        before = _query(folder / "in.vcf")
        after: list[str | None] = []
        lines, _ = annotate(folder / "in.vcf", folder, inspect=lambda path: after.append(_query(path)))
        if before is not None and before.count("\n") == len(lines):  # it stops without an error at some
            assert after == [before]

    try_out(budget, check, vcf_texts())


@each_budget
@pytest.mark.parametrize("output", ["out.vcf", "out.bcf"])
def test_what_comes_out_is_opened_by_htslib_with_the_same_samples(
    folder: Path, budget: str, output: str
) -> None:
    """Whatever the header and the columns are like: they are refused, or htslib reads every record of the output."""

    def check(text: bytes) -> None:
        (folder / "in.vcf").write_bytes(text)
        opened: list[tuple[list[str], bool]] = []
        done = annotate(
            folder / "in.vcf", folder, output=output, inspect=lambda path: opened.append(_open(path))
        )
        if done is not None:
            ((samples, is_whole),) = opened
            before, was_whole = _open(folder / "in.vcf")
            assert samples == before
            assert is_whole >= was_whole

    try_out(budget, check, odd_column_texts())


def _open(path: Path) -> tuple[list[str], bool]:
    """The samples of a file, and whether htslib reads all of its records."""
    before = pysam.set_verbosity(0)
    try:
        with pysam.VariantFile(str(path)) as file:
            samples = list(file.header.samples)
            try:
                return samples, all(True for _ in file)
            except (OSError, ValueError):
                return samples, False
    finally:
        pysam.set_verbosity(before)


def _query(path: Path) -> str | None:
    """What bcftools reads; None where it refuses the file."""
    command = ["bcftools", "query", "-f", "%CHROM\t%POS\t%ID\t%REF\t%ALT\t%QUAL\t%FILTER\n", path]
    done = subprocess.run(command, capture_output=True, check=False)
    return None if done.returncode else done.stdout.decode("utf-8", "surrogateescape")


@pytest.mark.parametrize("files", [300, pytest.param(5000, marks=pytest.mark.slow)])
def test_damaged_bcf_is_read_or_refused(tmp_path: Path, files: int) -> None:
    """In a process of its own, since htslib might take it along."""
    (tmp_path / "seed.vcf").write_bytes(BCF_VCF)
    pysam.bcftools.view("-Ou", "-o", str(tmp_path / "seed"), str(tmp_path / "seed.vcf"), catch_stdout=False)
    seed, rng = gzip.decompress((tmp_path / "seed").read_bytes()), random.Random(files)
    for number in range(files):
        hurt = bytearray(seed)
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(5, len(hurt))
            hurt[place : place + rng.choice([0, 1, 1, 4])] = rng.choice(
                [rng.randbytes(1), rng.choice(TOKENS), b""]
            )
        (tmp_path / f"{number}.bcf").write_bytes(bgzip(bytes(hurt), 1 << 16))
    command = [sys.executable, "-m", "tests.fuzz.read_files", *sorted(map(str, tmp_path.glob("*.bcf")))]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, errors="replace", timeout=600, check=False
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, f"after {lines[-1:]}: {done.stderr[-2000:]}"
    assert len(lines) == files
