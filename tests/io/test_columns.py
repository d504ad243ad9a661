"""Columns that do not match the header are refused with the line number, or read like bcftools does."""

from pathlib import Path

import pysam
import pytest

from tests.io.samples import META, PROVENANCE, read_all, result_of, run_tool
from vepscore.errors import InputError
from vepscore.io.header import VcfHeader
from vepscore.io.records import open_records, scan_records
from vepscore.io.vcf import AnnotatedVcfWriter

CASES = Path(__file__).parents[1] / "cases" / "columns"
NO_SAMPLE = "line 4\n  found FORMAT without a sample"
REFUSED = {
    "a_header_tab": "line 4\n  found the column '' after INFO instead of FORMAT",
    "b_both_tab": "line 4\n  found the column '' after INFO instead of FORMAT",
    "c_hail_format": NO_SAMPLE,
    "d_format_dot": NO_SAMPLE,
    "f_format_no_col": NO_SAMPLE,
    "i_more_samples": "record 0 (line 5)\n  found 11 columns, expected 10",
    "j_no_sample_header": "record 0 (line 5)\n  found 10 columns, expected 8",
    "k_dup_sample": "line 4\n  found two samples named 'A'",
}
TRIMMED = ["e_record_tab", "g_record_space", "h_record_many_tabs"]
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"


def write(path: Path, columns: str, *records: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in (*META, "##contig=<ID=chr1>", columns, *records)))
    return path


@pytest.mark.parametrize("name", REFUSED)
def test_file_is_refused_in_the_first_pass(name: str) -> None:
    path = CASES / f"{name}.vcf"
    with pytest.raises(InputError) as caught:
        scan_records(path)
    assert str(caught.value).startswith(f"{path} {REFUSED[name]}")
    assert caught.value.hint


@pytest.mark.parametrize("name", TRIMMED)
def test_end_of_record_is_trimmed(name: str) -> None:
    scan = scan_records(CASES / f"{name}.vcf")
    _, records = read_all(CASES / f"{name}.vcf")
    assert (scan.records, scan.counts) == (2, {"chr1": 2})
    assert [record.line.split(b"\t")[5:] for record in records] == [[b".", b".", b"DB"]] * 2


def test_every_case_has_an_expected_result() -> None:
    assert {path.stem for path in CASES.iterdir()} == {*REFUSED, *TRIMMED}


@pytest.mark.parametrize("suffix", [".vcf", ".vcf.gz", ".bcf"])
@pytest.mark.parametrize("name", TRIMMED)
def test_bcftools_reads_the_same_sites_of_the_output(tmp_path: Path, name: str, suffix: str) -> None:
    path = CASES / f"{name}.vcf"
    output = tmp_path / f"out{suffix}"
    with open_records(path) as records:
        header = records.header.with_annotation(provenance=PROVENANCE, contigs={"chr1": 30_000})
        with AnnotatedVcfWriter(output, header) as writer:
            for record in records:
                writer.write(result_of(record))
    sites = run_tool("bcftools", "query", "-f", "%CHROM %POS %ID %REF %ALT %INFO/DB\n", output)
    assert sites == "chr1 14200 v14200 C T 1\nchr1 16001 v16001 C T 1\n"
    assert run_tool("bcftools", "query", "-l", output) == ""


@pytest.mark.parametrize(
    "columns",
    [
        f"{COLUMNS} ",
        f"{COLUMNS}\t",
        f"{COLUMNS}\t\t",
        f"{COLUMNS}\tFORMAT",
        f"{COLUMNS}\tFORMAT\t",
        f"{COLUMNS}\tFORMAT\tA\t",
        f"{COLUMNS}\tFORMAT\tA\t\tB",
        f"{COLUMNS}\tFORMAT\t \tB",
        f"{COLUMNS}\tFORMAT \tA",
        f"{COLUMNS}\tformat\tA",
        f"{COLUMNS}\tA\tB",
        f"{COLUMNS}\tFORMAT\tA\tB\tA",
        COLUMNS.replace("\t", " "),
        COLUMNS.replace("ID", "id"),
    ],
)
def test_column_line_that_htslib_refuses_is_refused(tmp_path: Path, columns: str) -> None:
    path = write(tmp_path / "in.vcf", columns)
    assert not htslib_opens(path)
    with pytest.raises(InputError, match=rf"in\.vcf line {len(META) + 2}\n"):
        open_records(path).__enter__()


def htslib_opens(path: Path) -> bool:
    before = pysam.set_verbosity(0)
    try:
        pysam.VariantFile(str(path)).close()
    except (OSError, ValueError):
        return False
    finally:
        pysam.set_verbosity(before)
    return True


@pytest.mark.parametrize("line", ["##X=<ID=a,Values=[A,B>", "##contig=<ID=chr2,IDX=0>"])
def test_header_that_htslib_refuses_is_not_written(tmp_path: Path, line: str) -> None:
    header = VcfHeader(meta=(*META, "##contig=<ID=chr1>", line), columns=COLUMNS, source="in.vcf")
    (tmp_path / "in.vcf").write_bytes(header.encode())
    assert not htslib_opens(tmp_path / "in.vcf")
    with pytest.raises(InputError, match=r"in\.vcf\n  has a header that htslib refuses"):
        AnnotatedVcfWriter(tmp_path / "out.vcf", header)


@pytest.mark.parametrize(
    ("end", "kept"),
    [("DB\t", "DB"), ("DB \t \t", "DB"), ("DB  ", "DB"), ("AC=1;X=a b ", "AC=1;X=a b"), (".\t\t", ".")],
)
def test_spaces_and_empty_columns_at_the_end_are_removed(tmp_path: Path, end: str, kept: str) -> None:
    path = write(tmp_path / "in.vcf", COLUMNS, f"chr1\t7\t.\tA\tC\t.\t.\t{end}")
    _, (record,) = read_all(path)
    assert record.line == f"chr1\t7\t.\tA\tC\t.\t.\t{kept}".encode()


def test_empty_sample_columns_of_the_header_are_kept(tmp_path: Path) -> None:
    rows = [f"chr1\t7\t.\tA\tC\t.\t.\t.\t.\t.\t{last}" for last in ("", " ")]
    _, records = read_all(write(tmp_path / "in.vcf", f"{COLUMNS}\tFORMAT\tA\tB", *rows))
    lasts = [record.line.split(b"\t")[7:] for record in records]
    assert lasts == [[b".", b".", b".", last] for last in (b"", b" ")]


@pytest.mark.parametrize("end", ["GT\t\t", "GT\t \t", "GT\t0/1\t0/1"])
def test_empty_column_does_not_end_a_wider_record(tmp_path: Path, end: str) -> None:
    path = write(tmp_path / "in.vcf", f"{COLUMNS}\tFORMAT\tA", f"chr1\t7\t.\tA\tC\t.\t.\t.\t{end}")
    with pytest.raises(InputError, match=r"record 0 \(line 8\)\n  found 11 columns, expected 10"):
        scan_records(path)


@pytest.mark.parametrize("info", ["DB ;AC=1", " DB;AC=1", "AC =1", "AC=1; DB", " "])
def test_space_beside_an_info_key_is_refused(tmp_path: Path, info: str) -> None:
    path = write(tmp_path / "in.vcf", COLUMNS, f"chr1\t7\t.\tA\tC\t.\t.\t{info}")
    with pytest.raises(InputError, match=r"record 0 \(line 8\)\n  found INFO key '.*', expected no spaces"):
        scan_records(path)


@pytest.mark.parametrize("record", ["chr1\tx\t.\tA\tC\t.\t.\t.", "chr1\t7\t.\tA\tC\t.\t.\tAC=\0", "chr1\t7"])
def test_first_pass_reports_the_errors_of_reading(tmp_path: Path, record: str) -> None:
    path = write(tmp_path / "in.vcf", COLUMNS, "chr1\t7\t.\tA\tC\t.\t.\t.", "", record)
    errors = []
    for read in (scan_records, read_all):
        with pytest.raises(InputError) as caught:
            read(path)
        errors.append(str(caught.value))
    assert errors[0] == errors[1] and "record 1 (line 10)" in errors[0]
