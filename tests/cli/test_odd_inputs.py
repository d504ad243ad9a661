"""What is odd about a VCF gives each allele a status, or the run a clear error; never a traceback, never silence."""

import gzip
import pathlib
import subprocess
from collections.abc import Sequence

import pytest

from tests.builders import AMBIGUOUS, CONTIGS, LOWER_CASE, WINDOW_BP, sequences, vcf_row, write_vcf
from tests.cli.scoring import Bench, split_vcf, statuses, without_annotation
from tests.io.samples import run_tool

QUICK = ("-s", "DNASE")
BASES = sequences()["chr1"]
CONTIG_LINES = tuple(f"##contig=<ID={name},length={length}>" for name, length in CONTIGS.items())
META = ("##fileformat=VCFv4.2", *CONTIG_LINES)


def other_than(base: str) -> str:
    return "ACGT"["ACGT".find(base) - 2]


def at(pos0: int, ref: str, alt: str, chrom: str = "chr1") -> tuple[str, ...]:
    """A record whose REF need not be what the genome has."""
    return chrom, str(pos0 + 1), ".", ref, alt


WRONG = other_than(BASES[14_000])

# name → a record and its statuses; sorted, so that the output is indexed
ODD = {
    "pos_0": (("chr1", "0", ".", "N", "<DEL>"), "SYMBOLIC"),
    "before_the_contig": (("chr1", "0", ".", "A", "C"), "OFF_REFERENCE"),
    "soft_masked": (vcf_row("chr1", LOWER_CASE.start + 500, 1, "~"), "OK"),
    "ambiguous_reference": (at(min(AMBIGUOUS), "A", "C"), "OK"),
    "wrong_ref": (at(14_000, WRONG, BASES[14_000]), "REF_MISMATCH"),
    "symbolic": (vcf_row("chr1", 14_100, 1, "<DEL>"), "SYMBOLIC"),
    "breakend": (vcf_row("chr1", 14_110, 1, f"{BASES[14_110]}[chr3:50["), "SYMBOLIC"),
    "star": (vcf_row("chr1", 14_120, 1, "~", "*"), "OK,SYMBOLIC"),
    "lower_case": (at(14_130, BASES[14_130].lower(), other_than(BASES[14_130]).lower()), "OK"),
    "iupac_alt": (vcf_row("chr1", 14_140, 1, "R"), "NON_ACGT"),
    "iupac_ref": (at(14_150, "R", "T"), "NON_ACGT"),
    "n_in_alt": (vcf_row("chr1", 14_160, 1, f"{BASES[14_160]}N"), "NON_ACGT"),
    "too_long": (vcf_row("chr1", 14_170, 1, "A" * (WINDOW_BP // 4 + 1)), "TOO_LONG"),
    "no_alt": (vcf_row("chr1", 14_180, 1), None),
    "past_the_end": (at(CONTIGS["chr1"], "A", "C"), "OFF_REFERENCE"),
    "mostly_n": (vcf_row("chr2", 12_050, 1, "~"), "N_WINDOW"),
    "unknown_contig": (at(1_000, "A", "C", chrom="chrUn_KI270302v1"), "OFF_REFERENCE"),
}


def score(
    bench: Bench,
    folder: pathlib.Path,
    *rows: Sequence[str],
    options: Sequence[str] = (),
    meta: Sequence[str] = META,
) -> subprocess.CompletedProcess[bytes]:
    write_vcf(folder / "in.vcf", *rows, meta=meta)
    return bench.score("in.vcf", *QUICK, *options, "-o", "out.vcf.gz", cwd=folder)


@pytest.fixture(scope="module")
def folder(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """One run over all of them."""
    folder = tmp_path_factory.mktemp("odd")
    rows = [row for row, _ in ODD.values()]
    done = score(bench, folder, *rows, options=("-o", "out.vcf", "--table", "out.tsv", "--strict"))
    assert done.returncode == 3, done.stderr.decode()
    return folder


class TestStatuses:
    @pytest.mark.parametrize("name", ODD)
    def test_status(self, folder: pathlib.Path, name: str) -> None:
        assert statuses(folder / "out.vcf.gz")[list(ODD).index(name)] == ODD[name][1]

    def test_bcftools_agrees(self, folder: pathlib.Path) -> None:
        found = run_tool("bcftools", "query", "-f", "%VS_STATUS\n", folder / "out.vcf.gz").splitlines()
        assert found == [expected or "." for _, expected in ODD.values()]

    def test_records_are_untouched(self, folder: pathlib.Path) -> None:
        _, before = split_vcf((folder / "in.vcf").read_bytes())
        _, after = split_vcf((folder / "out.vcf").read_bytes())
        assert [without_annotation(record) for record in after] == before

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("wrong_ref", f"REF is {WRONG} but the reference has {BASES[14_000]} there"),
            ("symbolic", "ALT <DEL> names no sequence"),
            ("iupac_alt", f"{BASES[14_140]}>R has letters other than A, C, G and T"),
            ("too_long", "the allele has 4097 bp; a window of 16384 bp allows 4096"),
            ("mostly_n", "0.994 of the window is N"),
            ("unknown_contig", "the reference has no contig chrUn_KI270302v1"),
        ],
    )
    def test_reason_is_in_the_table(self, folder: pathlib.Path, name: str, reason: str) -> None:
        _, pos, *_ = ODD[name][0]
        cells = [line.split("\t") for line in (folder / "out.tsv").read_text().splitlines()]
        assert [row[8] for row in cells if row[3:4] == [pos] and row[2] == ODD[name][0][0]] == [reason]

    def test_contig_that_neither_knows_is_declared(self, folder: pathlib.Path) -> None:
        assert "##contig=<ID=chrUn_KI270302v1>" in (folder / "out.vcf").read_text().splitlines()


@pytest.fixture(scope="module")
def rough(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, str]:
    """A run over a file that is odd as a whole, and what it says: no contig lines, names without chr, CRLF."""
    folder = tmp_path_factory.mktemp("rough")
    rows = [
        ("1", *vcf_row("chr1", 13_000, 1, "~")[1:]),
        at(14_000, WRONG, BASES[14_000], chrom="1"),
        ("3", "5", ".", "A", "*"),
    ]
    text = write_vcf(folder / "unix.vcf", *rows).read_bytes()
    (folder / "in.vcf").write_bytes(text.replace(b"\n", b"\r\n"))
    done = bench.score("in.vcf", *QUICK, "--on-ref-mismatch", "substitute", "-o", "out.vcf.gz", cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    return folder, done.stderr.decode()


class TestRoughFile:
    def test_wrong_ref_is_scored_when_it_is_to_be_substituted(self, rough: tuple[pathlib.Path, str]) -> None:
        folder, _ = rough
        assert statuses(folder / "out.vcf.gz") == ["OK", "OK", "SYMBOLIC"]

    def test_missing_contig_header_is_added(self, rough: tuple[pathlib.Path, str]) -> None:
        folder, _ = rough
        header = run_tool("bcftools", "view", "-h", folder / "out.vcf.gz").splitlines()
        assert {line.replace("ID=chr", "ID=") for line in CONTIG_LINES} <= set(header)
        assert run_tool("tabix", folder / "out.vcf.gz", "3").count("\n") == 1

    def test_names_without_chr_are_matched_and_kept(self, rough: tuple[pathlib.Path, str]) -> None:
        folder, said = rough
        assert "contigs: the VCF's 1 is the reference's chr1" in said
        assert run_tool("bcftools", "query", "-f", "%CHROM ", folder / "out.vcf.gz") == "1 1 3 "

    def test_crlf_line_ends_become_lf(self, rough: tuple[pathlib.Path, str]) -> None:
        folder, _ = rough
        _, before = split_vcf((folder / "unix.vcf").read_bytes())
        text = gzip.decompress((folder / "out.vcf.gz").read_bytes())
        assert b"\r" not in text
        assert [without_annotation(record) for record in split_vcf(text)[1]] == before


class TestFiles:
    def test_empty_body_gives_empty_outputs(self, bench: Bench, tmp_path: pathlib.Path) -> None:
        done = score(
            bench, tmp_path, options=("-o", "out.bcf", "-o", "out.parquet", "--table", "out.tsv", "--strict")
        )
        assert done.returncode == 0, done.stderr.decode()
        assert "0 records" in done.stderr.decode()
        for name in ("out.vcf.gz", "out.bcf"):
            assert statuses(tmp_path / name) == []
            assert run_tool("bcftools", "view", "-H", tmp_path / name) == ""
        import pandas as pd

        assert len(pd.read_parquet(tmp_path / "out.parquet")) == 0
        assert len(pd.read_csv(tmp_path / "out.tsv", sep="\t", comment="#")) == 0

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"", "is empty, expected a VCF or BCF"),
            (
                b"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\nchr1\t5\n",
                "record 0 (line 3)",
            ),
        ],
        ids=["empty", "too_few_columns"],
    )
    def test_broken_file_is_an_error(
        self, bench: Bench, tmp_path: pathlib.Path, content: bytes, said: str
    ) -> None:
        (tmp_path / "in.vcf").write_bytes(content)
        done = bench.score("in.vcf", *QUICK, "-o", "out.vcf", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (1, b"")
        message = done.stderr.decode()
        assert "error: in.vcf" in message
        assert said in message
        assert "Traceback" not in message
        assert not (tmp_path / "out.vcf").exists()


CASES = pathlib.Path(__file__).parents[1] / "cases" / "columns"
QUICK_CASES = ("h_record_many_tabs", "i_more_samples")
EACH_CASE = [
    pytest.param(path.stem, marks=() if path.stem in QUICK_CASES else pytest.mark.slow)
    for path in sorted(CASES.iterdir())
]


@pytest.mark.parametrize("name", EACH_CASE)
def test_columns_are_refused_or_bcftools_opens_every_output(
    bench: Bench, tmp_path: pathlib.Path, name: str
) -> None:
    source = CASES / f"{name}.vcf"
    outputs = [tmp_path / f"out{suffix}" for suffix in (".vcf", ".vcf.gz", ".bcf")]
    options = [word for path in outputs for word in ("-o", str(path))]
    done = bench.score(str(source), *QUICK, *options, cwd=tmp_path)
    said = done.stderr.decode()
    assert "Traceback" not in said
    if done.returncode == 1:
        assert f"error: {source}" in said and "line " in said and "hint: " in said
        assert list(tmp_path.iterdir()) == []
        return
    assert done.returncode == 0, said
    sites = ("query", "-f", "%CHROM %POS %ID %REF %ALT %QUAL %FILTER %INFO/DB\n")
    for path in outputs:
        assert run_tool("bcftools", *sites, path) == run_tool(
            "bcftools", *sites, _without_blank_ends(source, tmp_path)
        )
        assert run_tool("bcftools", "query", "-l", path) == ""
        assert statuses(path) == ["OK", "OK"]


def _without_blank_ends(source: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """The same file as bcftools can read it."""
    path = folder / "clean.vcf"
    path.write_text("".join(f"{line.rstrip()}\n" for line in source.read_text().splitlines()))
    return path
