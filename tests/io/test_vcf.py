"""Test annotated VCF and BCF: records come out as they went in, with our fields and an index."""

import gzip
import logging
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.io.samples import COLUMNS, CONTIGS, META, PROVENANCE, read_all, result_of, run_tool, vcf_bytes
from tests.paths import need
from vepscore.errors import InputError, OutputError, UsageError
from vepscore.io.fields import FIELDS
from vepscore.io.info import strip_info
from vepscore.io.records import open_records, scan_records
from vepscore.io.results import RecordResult
from vepscore.io.vcf import AnnotatedVcfWriter

SUFFIXES = (".vcf", ".vcf.gz", ".bcf")
RECORDS = (
    "chr1 100 rs1 A G 30 PASS AC=1;DB GT 0/1",
    "chr1 101 . CTT C,CT . . . GT ./.",
    "chr1 300 . T . . q10 DB GT 0/0",
    "chr2 5 . G <DEL> . q10 AC=2 GT 1|1",
)
WITH_SAMPLE = f"{COLUMNS}\tFORMAT\tS1"


def annotate(source: Path, target: Path | str, *, overwrite: bool = False) -> None:
    """Scores a file with made-up numbers."""
    with open_records(source) as reader:
        header = reader.header.with_annotation(
            provenance=PROVENANCE,
            contigs=CONTIGS,
            body_contigs=scan_records(source).counts,
            overwrite=overwrite,
        )
        with AnnotatedVcfWriter(target, header, overwrite=overwrite) as writer:
            for record in reader:
                writer.write(result_of(record))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.vcf"
    path.write_bytes(vcf_bytes(*RECORDS, columns=WITH_SAMPLE))
    return path


def without_ours(line: bytes) -> bytes:
    parts = line.split(b"\t")
    parts[7] = strip_info(parts[7])
    return b"\t".join(parts)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_bcftools_reads_what_is_written_without_a_word(tmp_path: Path, source: Path, suffix: str) -> None:
    target = tmp_path / f"out{suffix}"
    annotate(source, target)
    text = run_tool("bcftools", "view", "--no-version", target)
    records = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(records) == len(RECORDS)
    query = r"%CHROM:%POS %ALT %VS_STATUS %VS_SPLICE %VS_SPLICE_GENE %VS_ATAC\n"
    assert run_tool("bcftools", "query", "-f", query, target).splitlines() == [
        "chr1:100 G OK 1.23457 MYGENE .",
        "chr1:101 C,CT OK,OK 1.23457,1.23457 MYGENE,MYGENE .,.",
        "chr1:300 . . . . .",
        "chr2:5 <DEL> SYMBOLIC . . .",
    ]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_header_with_spaces_declares_what_it_says(tmp_path: Path, suffix: str) -> None:
    """Every name is declared for BCF, and no contig is declared twice."""
    source, target = tmp_path / "in.vcf", tmp_path / f"out{suffix}"
    spaced = tuple(line.replace(",", ", ") for line in META[1:])
    contig = "##contig=<length=248956422, ID=chr1>"
    source.write_bytes(
        vcf_bytes(*RECORDS[:3], meta=("##fileformat=VCFv4.2", *spaced, contig), columns=WITH_SAMPLE)
    )
    annotate(source, target)
    assert run_tool("bcftools", "query", "-f", "%POS %AC %FILTER[ %GT]\n", target).splitlines() == [
        "100 1 PASS 0/1",
        "101 . . ./.",
        "300 . q10 0/0",
    ]
    header, _ = read_all(target)
    assert sum(line.startswith("##contig") for line in header.meta) == 1


@pytest.mark.parametrize(("suffix", "index"), [(".vcf.gz", ".tbi"), (".bcf", ".csi")])
def test_compressed_output_is_indexed(tmp_path: Path, source: Path, suffix: str, index: str) -> None:
    target = tmp_path / f"out{suffix}"
    annotate(source, target)
    assert sorted(os.listdir(tmp_path)) == ["in.vcf", f"out{suffix}", f"out{suffix}{index}"]
    region = run_tool("bcftools", "view", "-H", "-r", "chr1:250-350", target)
    assert region.startswith("chr1\t300\t")
    if suffix == ".vcf.gz":
        assert run_tool("bcftools", "index", "--nrecords", target) == "4\n"
        assert run_tool("tabix", target, "chr2").startswith(
            "chr2\t5\t.\tG\t<DEL>\t.\tq10\tAC=2;VS_STATUS=SYMBOLIC;"
        )
        assert run_tool("tabix", "--list-chroms", target).split() == ["chr1", "chr2"]


@pytest.mark.parametrize("suffix", [".vcf", ".vcf.gz"])
def test_records_keep_their_bytes(tmp_path: Path, source: Path, suffix: str) -> None:
    target = tmp_path / f"out{suffix}"
    annotate(source, target)
    before, after = read_all(source)[1], read_all(target)[1]
    assert [without_ours(record.line) for record in after] == [record.line for record in before]
    assert after[2].line == before[2].line  # a record without ALT
    assert after[0].line.split(b"\t")[7].startswith(b"AC=1;DB;VS_STATUS=OK;VS_SPLICE=1.23457;")
    assert after[1].line.split(b"\t")[7].startswith(b"VS_STATUS=OK,OK;")


def test_split_vep_reads_the_detail_field(tmp_path: Path, source: Path) -> None:
    target = tmp_path / "out.vcf.gz"
    annotate(source, target)
    form = r"%POS %ALLELE %SCORER %SYMBOL %SCORE %TRACK %BIOSAMPLE\n"
    lines = run_tool("bcftools", "+split-vep", "-a", "VS", "-d", "-f", form, target).splitlines()
    assert lines == [
        "100 G RNA_SEQ MYGENE -0.5 a%20track liver%3B%20left%7Cright",
        "100 G ATAC . 0.25 t K562",
        "101 C RNA_SEQ MYGENE -0.5 a%20track liver%3B%20left%7Cright",
        "101 C ATAC . 0.25 t K562",
        "101 CT RNA_SEQ MYGENE -0.5 a%20track liver%3B%20left%7Cright",
        "101 CT ATAC . 0.25 t K562",
    ]


def test_standard_output_is_plain_vcf(
    source: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    annotate(source, "-")
    annotate(source, tmp_path / "out.vcf")
    captured = capfdbinary.readouterr()
    assert captured.out == (tmp_path / "out.vcf").read_bytes()
    assert captured.err == b""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_input_gives_the_same_bytes(tmp_path: Path, source: Path, suffix: str) -> None:
    first, second = tmp_path / f"first{suffix}", tmp_path / f"second{suffix}"
    annotate(source, first)
    annotate(source, second)
    assert first.read_bytes() == second.read_bytes()


def test_unsorted_records_are_written_without_index(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "in.vcf", tmp_path / "out.vcf.gz"
    source.write_bytes(vcf_bytes("chr1 9 . A C . . .", "chr1 5 . A C . . ."))
    target.with_name("out.vcf.gz.tbi").write_text("of an older output")
    with caplog.at_level(logging.WARNING):
        annotate(source, target)
    assert "not sorted" in caplog.text
    assert capfd.readouterr().err == ""
    assert sorted(os.listdir(tmp_path)) == ["in.vcf", "out.vcf.gz"]
    assert [record.pos1 for record in read_all(target)[1]] == [9, 5]


def test_positions_too_large_for_tbi_get_a_csi(tmp_path: Path) -> None:
    source, target = tmp_path / "in.vcf", tmp_path / "out.vcf.gz"
    source.write_bytes(vcf_bytes("chr1 9 . A C . . .", "chr1 600000000 . A C . . ."))
    annotate(source, target)
    assert sorted(os.listdir(tmp_path)) == ["in.vcf", "out.vcf.gz", "out.vcf.gz.csi"]
    assert run_tool("bcftools", "index", "--nrecords", target) == "2\n"


@pytest.mark.parametrize(
    ("record", "name"),
    [
        ("chr1 1 . A C . . AC=1;NEW=3", "INFO 'NEW'"),
        ("chr1 1 . A C . LowQual .", "FILTER 'LowQual'"),
        ("chr1 1 . A C . . . GT:AD 0/1:3", "FORMAT 'AD'"),
    ],
)
def test_bcf_cannot_hold_what_is_not_declared(tmp_path: Path, record: str, name: str) -> None:
    source = tmp_path / "in.vcf"
    source.write_bytes(vcf_bytes(record, columns=WITH_SAMPLE if "GT" in record else COLUMNS))
    with pytest.raises(OutputError, match=rf"record 0, chr1:1 .*\n.*{name}") as caught:
        annotate(source, tmp_path / "out.bcf")
    assert ".vcf.gz" in str(caught.value)
    assert os.listdir(tmp_path) == ["in.vcf"]
    annotate(source, tmp_path / "out.vcf.gz")


def test_what_htslib_refuses_is_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "in.vcf"
    source.write_bytes(vcf_bytes("chr1 1 . A C . . . GT 0/1:3", columns=WITH_SAMPLE))
    with pytest.raises(OutputError, match="cannot be written as BCF"):
        annotate(source, tmp_path / "out.bcf")
    assert os.listdir(tmp_path) == ["in.vcf"]
    assert "number of FORMAT fields" in capfd.readouterr().err


def test_a_contig_not_declared_cannot_be_written_to_bcf(tmp_path: Path) -> None:
    source, target = tmp_path / "in.vcf", tmp_path / "out.bcf"
    source.write_bytes(vcf_bytes("chrUn 1 . A C . . ."))
    annotate(source, target)  # declared, since the file was scanned
    header, records = read_all(source)
    with (
        pytest.raises(OutputError, match="contig 'chrUn'"),
        AnnotatedVcfWriter(target, header.with_annotation(provenance={}, contigs=CONTIGS)) as writer,
    ):
        writer.write(result_of(records[0]))


def test_annotated_input_is_refused_or_overwritten(tmp_path: Path, source: Path) -> None:
    first, second = tmp_path / "first.vcf", tmp_path / "second.vcf"
    annotate(source, first)
    with pytest.raises(InputError, match="without these fields"):
        annotate(first, second)
    annotate(first, second, overwrite=True)
    assert second.read_bytes() == first.read_bytes()


def test_our_fields_without_a_declaration_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "in.vcf"
    source.write_bytes(vcf_bytes("chr1 1 . A C . . VS_STATUS=OK"))
    with pytest.raises(InputError, match=r"record 0, chr1:1\n.*already has VS_STATUS in INFO"):
        annotate(source, tmp_path / "out.vcf")
    annotate(source, tmp_path / "out.vcf", overwrite=True)
    assert (tmp_path / "out.vcf").read_bytes().count(b"VS_STATUS=") == 1


def test_another_suffix_is_refused(tmp_path: Path, source: Path) -> None:
    with pytest.raises(UsageError, match=r"\.vcf\.gz"):
        AnnotatedVcfWriter(tmp_path / "out.txt", read_all(source)[0])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failure_leaves_nothing(tmp_path: Path, source: Path, suffix: str) -> None:
    header, records = read_all(source)
    out = tmp_path / "results"
    out.mkdir()
    annotated = header.with_annotation(provenance=PROVENANCE, contigs=CONTIGS)
    with pytest.raises(KeyError), AnnotatedVcfWriter(out / f"out{suffix}", annotated) as writer:
        writer.write(result_of(records[0]))
        raise KeyError
    assert os.listdir(out) == []


def test_results_must_fit_the_record(source: Path) -> None:
    with pytest.raises(ValueError, match="0 results for 2 ALTs"):
        RecordResult(record=read_all(source)[1][1], alleles=())


def test_a_real_file_comes_out_as_it_went_in(tmp_path: Path) -> None:
    source = need("data/clinvar_2016.hg38.vcf.gz")
    contigs = {name: 300_000_000 for name in ("chr1", "chr2", "chr16")}
    target = tmp_path / "out.vcf.gz"
    with open_records(source) as reader:
        header = reader.header.with_annotation(
            provenance=PROVENANCE, contigs=contigs, body_contigs=scan_records(source).counts
        )
        with AnnotatedVcfWriter(target, header) as writer:
            for record in reader:
                writer.write(result_of(record))
    before, after = gzip.decompress(source.read_bytes()), gzip.decompress(target.read_bytes())
    ours = {f"{line}\n".encode() for line in header.meta} - set(before.splitlines(keepends=True))
    kept = (line for line in after.splitlines(keepends=True) if line not in ours)
    assert (
        b"".join(line if line.startswith(b"#") else without_ours(line[:-1]) + b"\n" for line in kept)
        == before
    )
    assert run_tool("bcftools", "index", "--nrecords", target) == "5443\n"
    assert run_tool("bcftools", "view", "-H", "-i", "VS_SPLICE>1", target).count("\n") > 5000
    for field in FIELDS:
        assert field.header_line in run_tool("bcftools", "view", "-h", target)


TEXT = st.text(
    st.characters(min_codepoint=33, exclude_characters="\x7f\x85\u2028", exclude_categories=["Cs"]),
    min_size=1,
)
INFO_KEY = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.]{0,6}", fullmatch=True).filter(
    lambda key: not key.startswith("VS")
)
INFO = st.lists(
    st.tuples(INFO_KEY, st.none() | TEXT.map(lambda text: text.replace(";", ""))), min_size=1, max_size=4
).map(lambda pairs: ";".join(key if value is None else f"{key}={value}" for key, value in pairs))
ALT = st.text("ACGTNacgt", min_size=1, max_size=5) | st.sampled_from(
    ["*", "<DEL>", "G]17:198982]", "<NON_REF>"]
)


@st.composite
def vcf_lines(draw: st.DrawFn, samples: int) -> bytes:
    """A record with arbitrary text where a VCF allows it."""
    fixed = [
        draw(TEXT),
        str(draw(st.integers(0, 2**31 - 1))),
        draw(TEXT),
        draw(st.text("ACGTN", min_size=1, max_size=5)),
        draw(st.just(".") | st.lists(ALT, min_size=1, max_size=3).map(",".join)),
        draw(st.just(".") | st.floats(0, 1e6).map(str)),
        draw(TEXT),
        draw(st.just(".") | INFO),
    ]
    genotypes = [draw(TEXT) for _ in range(samples + 1)] if samples else []
    return "\t".join(fixed + genotypes).encode()


@st.composite
def vcf_bodies(draw: st.DrawFn) -> tuple[str, list[bytes]]:
    """The column line of a file, and its records."""
    samples = draw(st.integers(0, 3))
    names = "".join(f"\tS{number}" for number in range(samples))
    columns = f"{COLUMNS}\tFORMAT{names}" if samples else COLUMNS
    return columns, draw(st.lists(vcf_lines(samples), max_size=5))


@settings(max_examples=150, deadline=None)
@given(vcf_bodies())
def test_records_of_any_kind_come_out_as_they_went_in(body: tuple[str, list[bytes]]) -> None:
    columns, lines = body
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.vcf"), Path(folder, "out.vcf")
        source.write_bytes(vcf_bytes(meta=META, columns=columns) + b"".join(line + b"\n" for line in lines))
        annotate(source, target)
        header, records = read_all(target)
    assert [without_ours(record.line) for record in records] == lines
    assert header.meta[: len(META)] == META
    for record in records:
        assert (b"VS_STATUS=" in record.line) == bool(record.alts)
