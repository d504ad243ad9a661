"""Test that VCF and BCF are read record by record, and that truncated or malformed files are refused."""

import contextlib
import gzip
import os
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pysam
import pytest

from tests.io.samples import META, read_all, run_tool, vcf_bytes
from tests.paths import need
from vepscore.errors import InputError
from vepscore.io.records import open_records, scan_records

BODY = (
    "chr1 100 rs1 A G 30.50 PASS AC=1;DB",
    "chr1 101 . CTT C,CT . . .",
    "chr2 5 . g <DEL> . q10 END=9",
    "chrM 0 . A . . . .",
)


def random_vcf(records: int) -> bytes:
    """Return a VCF that compresses badly, so that it fills several bgzip blocks."""
    rng = random.Random(0)
    return vcf_bytes(*(f"chr1 {i + 1} {rng.randbytes(20).hex()} A C . . ." for i in range(records)))


def bgzip(data: bytes, path: Path) -> bytes:
    with pysam.BGZFile(str(path), "wb") as file:
        file.write(data)
    return path.read_bytes()


@pytest.fixture
def feed_stdin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], None]]:
    """Feed data to standard input through a pipe, the first byte separately."""
    with contextlib.ExitStack() as stack:

        def feed(data: bytes) -> None:
            read_end, write_end = os.pipe()
            thread = threading.Thread(target=write_to, args=(write_end, data))
            stack.callback(thread.join)
            stdin = stack.enter_context(open(read_end))
            monkeypatch.setattr("sys.stdin", stdin)
            thread.start()

        yield feed


def write_to(descriptor: int, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), open(descriptor, "wb", buffering=0) as pipe:
        pipe.write(data[:1])
        pipe.write(data[1:])


def test_a_record_has_the_fields_of_its_line(tmp_path: Path) -> None:
    path = tmp_path / "in.vcf"
    path.write_bytes(vcf_bytes(*BODY))
    header, records = read_all(path)
    assert header.meta == META
    assert [record.index for record in records] == [0, 1, 2, 3]
    assert [(r.chrom, r.pos1, r.id, r.ref, r.alts) for r in records] == [
        ("chr1", 100, "rs1", "A", ("G",)),
        ("chr1", 101, ".", "CTT", ("C", "CT")),
        ("chr2", 5, ".", "g", ("<DEL>",)),
        ("chrM", 0, ".", "A", ()),
    ]
    assert records[0].line == b"chr1\t100\trs1\tA\tG\t30.50\tPASS\tAC=1;DB"


@pytest.mark.parametrize("compress", [lambda data: data, gzip.compress, None], ids=["plain", "gzip", "bgzip"])
@pytest.mark.parametrize("piped", [False, True], ids=["file", "stdin"])
def test_text_is_detected_by_content(
    tmp_path: Path,
    feed_stdin: Callable[[bytes], None],
    compress: Callable[[bytes], bytes] | None,
    piped: bool,
) -> None:
    path = tmp_path / "no-suffix"
    data = vcf_bytes(*BODY)
    path.write_bytes(compress(data) if compress else bgzip(data, path))
    if piped:
        feed_stdin(path.read_bytes())
    header, records = read_all("-" if piped else path)
    assert header.encode() + b"".join(record.line + b"\n" for record in records) == data


@pytest.mark.parametrize("kind", ["-Ob", "-Ou"], ids=["bcf", "uncompressed bcf"])
@pytest.mark.parametrize("piped", [False, True], ids=["file", "stdin"])
def test_bcf_is_read_as_the_text_of_bcftools(
    tmp_path: Path, feed_stdin: Callable[[bytes], None], kind: str, piped: bool
) -> None:
    text, path = tmp_path / "in.vcf", tmp_path / "in.data"
    contigs = ("##contig=<ID=chr1>", "##contig=<ID=chr2>", "##contig=<ID=chrM>")
    end = '##INFO=<ID=END,Number=1,Type=Integer,Description="End">'
    text.write_bytes(vcf_bytes(*BODY, meta=(*META, end, *contigs)))
    run_tool("bcftools", "view", "--no-version", kind, "-o", path, text)
    if piped:
        feed_stdin(path.read_bytes())
    header, records = read_all("-" if piped else path)
    expected = run_tool("bcftools", "view", "--no-version", path)
    assert header.encode() + b"".join(record.line + b"\n" for record in records) == expected.encode()
    assert records[1].alts == ("C", "CT")


def test_a_pipe_given_by_name_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    data = bgzip(vcf_bytes(*BODY), tmp_path / "in.vcf.gz")
    threading.Thread(target=path.write_bytes, args=(data,), daemon=True).start()
    assert scan_records(path) is None
    assert len(read_all(path)[1]) == len(BODY)


def test_line_ends_become_lf_and_empty_lines_are_no_records(tmp_path: Path) -> None:
    path = tmp_path / "in.vcf"
    path.write_bytes(vcf_bytes(*BODY).replace(b"\n", b"\r\n") + b"\r\n\n")
    header, records = read_all(path)
    assert header.encode() + b"".join(record.line + b"\n" for record in records) == vcf_bytes(*BODY)


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_byte_order_mark_is_skipped(tmp_path: Path, compress: Callable[[bytes], bytes] | None) -> None:
    path = tmp_path / "in.vcf"
    path.write_bytes(compress(b"\xef\xbb\xbf" + vcf_bytes(*BODY)))
    header, records = read_all(path)
    assert header.encode() + b"".join(record.line + b"\n" for record in records) == vcf_bytes(*BODY)


def test_the_last_line_needs_no_line_end(tmp_path: Path) -> None:
    path = tmp_path / "in.vcf"
    path.write_bytes(vcf_bytes(*BODY).rstrip(b"\n"))
    assert len(read_all(path)[1]) == len(BODY)


def test_an_empty_body_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "in.vcf"
    path.write_bytes(vcf_bytes())
    assert read_all(path)[1] == []
    assert scan_records(path).counts == {}
    assert scan_records(path).records == 0


def test_bytes_that_are_not_utf8_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "in.vcf"
    data = vcf_bytes("chr1 1 X A C . . .").replace(b"X", b"\xe9t\xe9").replace(b"Allele count", b"\xe9")
    path.write_bytes(data)
    header, records = read_all(path)
    assert header.encode() + records[0].line + b"\n" == data
    records[0].id.encode("utf-8")  # what goes into tables can be encoded


def test_bytes_of_a_bcf_that_are_not_utf8_are_kept(tmp_path: Path) -> None:
    text, path = tmp_path / "in.vcf", tmp_path / "in.bcf"
    note = b"##note=k\xe4se\n"
    text.write_bytes(
        vcf_bytes(BODY[0], meta=(*META, "##contig=<ID=chr1>")).replace(b"##INFO", note + b"##INFO", 1)
    )
    assert note in text.read_bytes()
    run_tool("bcftools", "view", "--no-version", "-Ob", "-o", path, text)
    header, records = read_all(path)
    assert note in header.encode() and len(records) == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b">chr1\nACGT\n", "starts with b'>chr1"),
        (b"#CHROM\tPOS\n", "expected ##fileformat=VCF"),
        (b"\xef\xbb\xbf##fileformat=VCFv4.2\n", "starts with"),
        (gzip.compress(b"BAM\1"), "starts with b'BAM"),
        (b"##fileformat=VCFv4.2\n", "ends before the line that starts with #CHROM"),
        (b"##fileformat=VCFv4.2\nchr1\t1\t.\tA\tC\t.\t.\t.\n", "line 2.*expected the line that starts with"),
        (b"##fileformat=VCFv4.2\n#CHROM POS ID REF ALT QUAL FILTER INFO\n", "one tab between"),
        (b"##fileformat=VCFv4.2\n##a\0b\n", "line 2.*NUL"),
        (b"\x1f\x8b\x08\x00rubbish-rubbish", "cannot be read|truncated"),
    ],
)
def test_other_formats_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "in.vcf"
    path.write_bytes(data)
    with pytest.raises(InputError, match=f"(?s){message}"):
        open_records(path).__enter__()


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("chr1 7 . A C . .", "found 7 columns, expected 8"),
        ("oops", "found 1 columns, expected 8"),
        ("chr1 x . A C . . .", "found POS 'x'"),
        ("chr1 -1 . A C . . .", "found POS '-1'"),
        ("chr1 1_0 . A C . . .", "found POS '1_0'"),
        ("chr1 99999999999999999999 . A C . . .", "found POS '9+'"),
        (" 1 . A C . . .", "empty CHROM"),
        ("chr1 7 . A C . . AC=\0", "NUL"),
    ],
)
def test_a_malformed_line_is_reported(tmp_path: Path, record: str, message: str) -> None:
    path = tmp_path / "in.vcf"
    path.write_bytes(vcf_bytes("chr1 1 . A C . . .", record))
    with pytest.raises(InputError, match=rf"(?s)in\.vcf record 1 \(line 8\)\n.*{message}"):
        read_all(path)


def test_a_record_with_too_few_samples_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "in.vcf"
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\tS2"
    path.write_bytes(vcf_bytes("chr1 1 . A C . . . GT 0/1 1/1", "chr1 2 . A C . . . GT 0/1", columns=columns))
    with pytest.raises(InputError, match=r"record 1 .*\n.*found 10 columns, expected 11"):
        read_all(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        open_records(tmp_path / "absent.vcf").__enter__()
    with pytest.raises(InputError, match="is a folder"):
        open_records(tmp_path).__enter__()


@pytest.mark.parametrize("piped", [False, True], ids=["file", "stdin"])
def test_a_truncated_gzip_file_is_an_error(
    tmp_path: Path, feed_stdin: Callable[[bytes], None], piped: bool
) -> None:
    path = tmp_path / "in.vcf.gz"
    data = gzip.compress(random_vcf(5000))
    path.write_bytes(data[: len(data) // 2])
    if piped:
        feed_stdin(path.read_bytes())
    with pytest.raises(InputError, match="truncated"):
        read_all("-" if piped else path)


@pytest.mark.parametrize("piped", [False, True], ids=["file", "stdin"])
def test_a_bgzip_file_truncated_between_blocks_is_an_error(
    tmp_path: Path, feed_stdin: Callable[[bytes], None], piped: bool
) -> None:
    path = tmp_path / "in.vcf.gz"
    data = bgzip(random_vcf(5000), path)
    second_block = data.index(data[:4], 4)
    assert second_block < len(data) - 28
    path.write_bytes(data[:second_block])
    if piped:
        feed_stdin(path.read_bytes())
    with pytest.raises(InputError, match="end marker"):
        read_all("-" if piped else path)


def test_a_truncated_bcf_is_an_error(tmp_path: Path) -> None:
    text, path = tmp_path / "in.vcf", tmp_path / "in.bcf"
    text.write_bytes(random_vcf(50).replace(b"#CHROM", b"##contig=<ID=chr1>\n#CHROM"))
    run_tool("bcftools", "view", "-Ou", "-o", path, text)
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    with pytest.raises(InputError, match="truncated"):
        read_all(path)
    bgzip(gzip.decompress(whole)[:-10], path)
    with pytest.raises(InputError, match="cannot be read as BCF"):
        read_all(path)


def test_contigs_of_the_body_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "in.vcf"
    path.write_bytes(vcf_bytes("2 1 . A C . . .", *BODY, "2 9 . A C . . ."))
    scan = scan_records(path)
    assert list(scan.counts) == ["2", "chr1", "chr2", "chrM"]
    assert scan.counts["2"] == 2 and sum(scan.counts.values()) == scan.records == len(BODY) + 2


def test_a_real_file_is_read_byte_for_byte() -> None:
    path = need("data/clinvar_2016.hg38.vcf.gz")
    header, records = read_all(path)
    assert len(records) == 5443
    assert records[0].pos1 == 1014143
    text = header.encode() + b"".join(record.line + b"\n" for record in records)
    assert text == gzip.decompress(path.read_bytes())
    assert list(scan_records(path).counts)[:2] == ["chr1", "chr11"]
    assert scan_records(path).records == 5443
