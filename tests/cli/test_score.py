"""`vepscore score` from end to end: real files in, real files out, and other people's tools to read them."""

import dataclasses
import pathlib
import subprocess

import numpy as np
import pandas as pd
import pysam
import pytest

from tests.builders import CONTIGS, WINDOW_BP, sequences, vcf_row, write_vcf
from tests.builtin_scorers import names_in_all
from tests.cli.scoring import Bench, annotation, split_vcf, statuses, without_annotation
from tests.io.samples import run_tool
from vepscore.io.fields import FIELDS, VALUE_FIELDS
from vepscore.model.registry import EMBEDDED_NAME

META = (
    "##fileformat=VCFv4.2",
    '##FILTER=<ID=q10,Description="Quality below 10">',
    '##INFO=<ID=AF,Number=A,Type=Float,Description="Allele frequency">',
    '##INFO=<ID=DB,Number=0,Type=Flag,Description="In dbSNP">',
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
    '##ALT=<ID=DEL,Description="Deletion">',
    *(f"##contig=<ID={name},length={length}>" for name, length in CONTIGS.items()),
)
COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", "SAMPLE")
BASES = sequences()["chr1"]
GRID_BP = 128
ON_GRID0 = 122 * GRID_BP - 1  # only the window around it starts at a multiple of GRID_BP
ROWS = (  # numbers are written as no library would write them
    (*vcf_row("chr1", 14_199, 1, "~", name="rs1"), "29.50", "PASS", "AF=0.10000;DB", "GT", "0/1"),
    (*vcf_row("chr1", ON_GRID0, 1, "~", "*"), ".", ".", ".", "GT", "1/2"),
    (*vcf_row("chr1", 17_148, 4, BASES[17_148]), "1e3", "q10", "AF=5.0E-1", "GT", "."),
    (*vcf_row("chr1", 18_500, 1, "*", "~"), ".", "PASS", "AF=0.5,.", "GT", "1|2"),
    (*vcf_row("chr1", 19_000, 1, "<DEL>"), ".", "PASS", "DB", "GT", "0|1"),
    (*vcf_row("chr1", 19_500, 1), ".", "PASS", "DB", "GT", "0|0"),
    (*vcf_row("chr3", 3_060, 2, "<DEL>"), ".", "PASS", ".", "GT", "1|1"),
)
INPUT = "".join(f"{line}\n" for line in (*META, *("\t".join(row) for row in (COLUMNS, *ROWS)))).encode()
STATUSES = ["OK", "OK,SYMBOLIC", "OK", "SYMBOLIC,OK", "SYMBOLIC", None, "SYMBOLIC"]
OUTPUTS = ("-o", "out.vcf.gz", "-o", "out.parquet", "--table", "out.tsv")
QUICK = ("-s", "DNASE")
SPLIT_VEP_FORMAT = "%POS %ALLELE %SCORER %GENE_ID %SYMBOL %SCORE %TRACK %BIOSAMPLE\n"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run of all scorers, and how to do it again."""

    bench: Bench
    options: tuple[str, ...]
    folder: pathlib.Path
    done: subprocess.CompletedProcess[bytes]

    def header_and_records(self) -> tuple[list[bytes], list[bytes]]:
        with pysam.BGZFile(str(self.folder / "out.vcf.gz")) as file:
            return split_vcf(file.read())

    def records(self) -> list[bytes]:
        return self.header_and_records()[1]


@pytest.fixture(scope="module")
def run(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    (folder / "in.vcf").write_bytes(INPUT)
    options = ("-g", str(bench.genome.gtf), "--polya", str(bench.genome.polya))
    done = bench.score("in.vcf", *options, *OUTPUTS, cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    return Run(bench=bench, options=options, folder=folder, done=done)


def values_of(name: str, records: list[bytes]) -> list[str | None]:
    """A field of each record."""
    return [annotation(record).get(name) for record in records]


class TestFiles:
    def test_stdout_is_empty_and_the_summary_is_on_stderr(self, run: Run) -> None:
        assert run.done.stdout == b""
        summary = run.done.stderr.decode()
        assert "7 records, 8 alternate alleles" in summary
        assert "s per scored variant" in summary
        assert "\x1b" not in summary

    def test_every_record_comes_out_untouched_but_for_info(self, run: Run) -> None:
        _, expected = split_vcf(INPUT)
        assert [without_annotation(record) for record in run.records()] == expected

    def test_every_alt_has_a_status(self, run: Run) -> None:
        assert statuses(run.folder / "out.vcf.gz") == STATUSES

    def test_every_field_has_values(self, run: Run) -> None:
        found = annotation(run.records()[0])
        assert found.keys() == {field.id for field in FIELDS}
        assert [name for name, value in found.items() if value == "."] == []
        assert found["VS_SPLICE_GENE"] == "Plus"

    def test_header_keeps_its_lines_and_says_what_was_done(self, run: Run) -> None:
        header, _ = run.header_and_records()
        lines = [line.decode() for line in header]
        assert lines[: len(META)] == list(META)
        assert lines[-1] == "\t".join(COLUMNS)
        assert any(line.startswith("##vepscoreCommand=vepscore score ") for line in lines)
        assert f"##vepscoreWindow={WINDOW_BP} bp" in lines

    def test_bcftools_view_reads_it(self, run: Run) -> None:
        assert run_tool("bcftools", "view", "-H", run.folder / "out.vcf.gz").count("\n") == len(ROWS)

    def test_split_vep_reads_it(self, run: Run) -> None:
        path = run.folder / "out.vcf.gz"
        lines = run_tool(
            "bcftools", "+split-vep", "-a", "VS", "-d", "-f", SPLIT_VEP_FORMAT, path
        ).splitlines()
        rows = [line.split(" ") for line in lines]
        entries = [entry for record in run.records() for entry in annotation(record).get("VS", "").split(",")]
        assert len(rows) == sum(map(bool, entries)) > 20
        assert {row[2] for row in rows} == names_in_all()
        assert ["PLUS", "Plus"] in [row[3:5] for row in rows]

    def test_tabix_finds_records(self, run: Run) -> None:
        found = run_tool("tabix", run.folder / "out.vcf.gz", "chr1:15000-18000").splitlines()
        assert [line.split("\t")[1] for line in found] == [str(ON_GRID0 + 1), "17149"]

    def test_pandas_reads_the_long_table(self, run: Run) -> None:
        table = pd.read_parquet(run.folder / "out.parquet")
        assert set(table["variant_scorer"]) == names_in_all()
        assert list(dict.fromkeys(zip(table["record"], table["alt_index"], strict=True))) == [
            (0, 0),
            (1, 0),
            (2, 0),
            (3, 1),
        ]
        assert np.isfinite(table["raw_score"]).all()
        assert table["quantile_score"].isna().all()

    def test_duckdb_reads_the_long_table(self, run: Run) -> None:
        duckdb = pytest.importorskip("duckdb")
        source = f"'{run.folder}/out.parquet' where variant_scorer = 'DNASE'"
        query = f"select pos, max(abs(raw_score)) from {source} group by all"
        largest = dict(duckdb.sql(query).fetchall())
        assert sorted(largest) == [14_200, ON_GRID0 + 1, 17_149, 18_501]
        expected = abs(float(annotation(run.records()[0])["VS_DNASE"]))
        assert largest[14_200] == pytest.approx(expected, rel=1e-5)

    def test_table_by_allele_says_the_same_as_the_vcf(self, run: Run) -> None:
        table = pd.read_csv(run.folder / "out.tsv", sep="\t", comment="#")
        assert list(table["VS_STATUS"]) == [
            status for alts in STATUSES if alts is not None for status in alts.split(",")
        ]
        assert table["reason"].notna().tolist() == (table["VS_STATUS"] != "OK").tolist()
        annotated = [annotation(record) for record in run.records()]
        for field in VALUE_FIELDS:
            values = [value for found in annotated if found for value in found[field.id].split(",")]
            cells = table[field.id]
            if field.type == "Float":
                expected = [np.nan if value == "." else float(value) for value in values]
                np.testing.assert_array_equal(cells, expected)
            else:
                assert cells.fillna(".").tolist() == values


class TestOtherWaysInAndOut:
    def test_stdin_to_stdout(self, run: Run, tmp_path: pathlib.Path) -> None:
        done = run.bench.score("-", *run.options, "--strict", cwd=tmp_path, stdin=INPUT)
        assert done.returncode == 3  # some alleles are symbolic
        header, records = split_vcf(done.stdout)
        assert header[0] == b"##fileformat=VCFv4.2"
        assert records == run.records()
        assert list(tmp_path.iterdir()) == []

    def test_bcf_to_bcf(self, run: Run, tmp_path: pathlib.Path) -> None:
        (tmp_path / "in.vcf").write_bytes(INPUT)
        run_tool("bcftools", "view", "--no-version", "-Ob", "-o", tmp_path / "in.bcf", tmp_path / "in.vcf")
        done = run.bench.score("in.bcf", *QUICK, "-o", "out.bcf", cwd=tmp_path)
        assert done.returncode == 0, done.stderr.decode()
        before, after = (
            run_tool("bcftools", "view", "-H", tmp_path / name).encode().splitlines()
            for name in ("in.bcf", "out.bcf")
        )
        assert [without_annotation(record) for record in after] == before
        for name in ("VS_STATUS", "VS_DNASE"):
            assert values_of(name, after) == values_of(name, run.records())
        assert run_tool("bcftools", "view", "-H", tmp_path / "out.bcf", "chr3").count("\n") == 1

    def test_aligned_windows(self, run: Run, tmp_path: pathlib.Path) -> None:
        done = run.bench.score("-", *QUICK, "--align", str(GRID_BP), cwd=tmp_path, stdin=INPUT)
        assert done.returncode == 0, done.stderr.decode()
        assert f"\n##vepscoreAlign={GRID_BP} bp\n".encode() in done.stdout
        pairs = zip(
            values_of("VS_DNASE", run.records()),
            values_of("VS_DNASE", split_vcf(done.stdout)[1]),
            strict=True,
        )
        assert [after == before for before, after in pairs] == [False, True, False, False, True, True, True]


class TestTwice:
    def test_same_run_gives_the_same_bytes(self, run: Run, tmp_path: pathlib.Path) -> None:
        (tmp_path / "in.vcf").write_bytes(INPUT)
        done = run.bench.score("in.vcf", *run.options, *OUTPUTS, cwd=tmp_path)
        assert done.returncode == 0, done.stderr.decode()
        for name in ("out.vcf.gz", "out.vcf.gz.tbi", "out.parquet", "out.tsv"):
            assert (tmp_path / name).read_bytes() == (run.folder / name).read_bytes(), name

    def test_annotated_input_is_refused(self, run: Run, tmp_path: pathlib.Path) -> None:
        done = run.bench.score(str(run.folder / "out.vcf.gz"), *QUICK, "-o", "again.vcf.gz", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (1, b"")
        assert "the header declares VS_STATUS" in done.stderr.decode()
        assert "--overwrite-existing" in done.stderr.decode()
        assert list(tmp_path.iterdir()) == []

    def test_annotation_can_be_replaced(self, run: Run, tmp_path: pathlib.Path) -> None:
        first = str(run.folder / "out.vcf.gz")
        done = run.bench.score(first, *run.options, "--overwrite-existing", cwd=tmp_path)
        assert done.returncode == 0, done.stderr.decode()
        header, records = run.header_and_records()
        new_header, new_records = split_vcf(done.stdout)
        assert new_records == records
        is_same = [new == old for new, old in zip(new_header, header, strict=True)]
        assert [line.partition(b"=")[0] for line, same in zip(header, is_same, strict=True) if not same] == [
            b"##vepscoreCommand"
        ]


class TestFailure:
    def test_no_output_is_left_when_a_record_fails(self, bench: Bench, tmp_path: pathlib.Path) -> None:
        ref = BASES[15_000]
        wrong = ("chr1", "15001", ".", "ACGT"["ACGT".find(ref) - 2], ref)
        meta = ("##fileformat=VCFv4.2", "##contig=<ID=chr1,assembly=GRCh37>")
        write_vcf(tmp_path / "in.vcf", vcf_row("chr1", 14_199, 1, "~"), wrong, meta=meta)
        done = bench.score("in.vcf", *QUICK, *OUTPUTS, "--on-ref-mismatch", "error", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (1, b"")
        message = done.stderr.decode()
        assert "error: in.vcf record 1, chr1:15001 " in message
        assert (
            f'REF is "{wrong[3]}" but the reference has "{ref}" there; the header says assembly=GRCh37'
            in message
        )
        assert "hint: pass the matching --reference" in message
        # but what was scored, in the journal
        assert {path.name for path in tmp_path.iterdir()} == {"in.vcf", ".out.vcf.gz.vepscore-progress"}

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (("-s", "NOPE"), "no scorer is named 'NOPE'"),
            (("-c", EMBEDDED_NAME, "-s", "ATAC"), "ATAC: not predicted by this checkpoint"),
            (("--window", "soon"), "window width 'soon'"),
            (("--align", "100"), "--align 100"),
            (("-o", "out.vcf", "-o", "out.vcf"), "duplicate output path: out.vcf"),
            (
                ("-o", "out.txt"),
                "output out.txt\n  expected a name that ends in .vcf, .vcf.gz, .bcf or .parquet",
            ),
        ],
        ids=lambda words: " ".join(words) if isinstance(words, tuple) else "",
    )
    def test_wrong_usage_exits_with_2(
        self, bench: Bench, tmp_path: pathlib.Path, options: tuple[str, ...], said: str
    ) -> None:
        write_vcf(tmp_path / "in.vcf", vcf_row("chr1", 14_199, 1, "~"))
        done = bench.score("in.vcf", *options, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, b"")
        assert said in done.stderr.decode()
        assert [path.name for path in tmp_path.iterdir()] == ["in.vcf"]

    @pytest.mark.parametrize("option", ["INPUT", "-r", "-g", "--polya", "-c"])
    def test_missing_file_is_named(self, bench: Bench, tmp_path: pathlib.Path, option: str) -> None:
        write_vcf(tmp_path / "in.vcf", vcf_row("chr1", 14_199, 1, "~"))
        arguments = (
            ("nowhere/missing.vcf",) if option == "INPUT" else ("in.vcf", option, "nowhere/missing.vcf")
        )
        done = bench.score(*arguments, *QUICK, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (1, b"")
        message = done.stderr.decode()
        assert message.startswith("error: ")
        assert "nowhere/missing.vcf" in message
        assert "Traceback" not in message
