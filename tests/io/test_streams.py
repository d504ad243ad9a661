"""FIFOs, devices and open descriptors are written directly or refused, never replaced."""

import os
import pathlib
import socket
import stat

import pytest

from tests.conftest import ReadFifo
from tests.io.samples import META, read_all, result_of, vcf_bytes
from vepscore.errors import OutputError, UsageError
from vepscore.io.allele_table import AlleleTableWriter
from vepscore.io.drawing import Drawing, DrawingWriter
from vepscore.io.header import VcfHeader
from vepscore.io.long_table import LongTableWriter
from vepscore.io.results import RecordResult
from vepscore.io.run_metadata import RunMetadata
from vepscore.io.spliceai import SpliceAiWriter, spliceai_header
from vepscore.io.staged_writer import StagedWriter, TextWriter
from vepscore.io.streams import check_stream, find_descriptor, is_stream, output_suffix
from vepscore.io.vcf import AnnotatedVcfWriter

FACTS = {"vepscoreVersion": "0", "vepscoreCheckpoint": "tiny sha256:0"}
HEADER = VcfHeader(meta=META, columns="#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
NULL_DEVICE = (1, 3)


@pytest.fixture
def result(tmp_path: pathlib.Path) -> RecordResult:
    source = tmp_path / "source.vcf"
    source.write_bytes(vcf_bytes("chr1 100 rs1 A C . PASS AC=1"))
    return result_of(read_all(source)[1][0])


def write(writer: StagedWriter, result: object) -> None:
    with writer:
        writer.write(result)


DRAWING = Drawing(width=9, height=9, title="empty", shapes=())

# name → a writer for a path, and what it is given; None for the record
WRITERS = {
    "out.vcf": (lambda path: AnnotatedVcfWriter(path, HEADER), None),
    "events.vcf": (
        lambda path: SpliceAiWriter(path, spliceai_header(HEADER, RunMetadata.from_header(FACTS))),
        None,
    ),
    "table.tsv": (lambda path: AlleleTableWriter(path, FACTS), None),
    "rank.tsv": (TextWriter, ["a\tb\n"]),
    "summary.json": (TextWriter, ['{"a": 1}\n']),
    "page.html": (TextWriter, ["<p>text</p>"]),
    "picture.svg": (DrawingWriter, DRAWING),
    "picture.png": (DrawingWriter, DRAWING),
}


@pytest.mark.parametrize("name", WRITERS)
def test_fifo_receives_the_bytes_of_a_regular_file(
    tmp_path: pathlib.Path, read_fifo: ReadFifo, result: RecordResult, name: str
) -> None:
    create, given = WRITERS[name]
    (tmp_path / "files").mkdir()
    (tmp_path / "pipes").mkdir()
    received = read_fifo(tmp_path / "pipes" / name)
    for folder in ("files", "pipes"):
        write(create(tmp_path / folder / name), result if given is None else given)
    assert received.result(10) == (tmp_path / "files" / name).read_bytes() != b""
    assert stat.S_ISFIFO((tmp_path / "pipes" / name).stat().st_mode)
    assert os.listdir(tmp_path / "pipes") == [name]


@pytest.mark.parametrize("name", ["out.vcf", "table.tsv", "rank.tsv", "summary.json", "page.html"])
def test_reader_of_a_fifo_is_released_by_a_failure(
    tmp_path: pathlib.Path, read_fifo: ReadFifo, name: str
) -> None:
    received = read_fifo(tmp_path / name)
    with pytest.raises(KeyError), WRITERS[name][0](tmp_path / name):
        raise KeyError
    assert isinstance(received.result(10), bytes)


def test_reader_that_stops_causes_a_broken_pipe(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "out.tsv")
    reader = os.open(tmp_path / "out.tsv", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(BrokenPipeError), TextWriter(tmp_path / "out.tsv") as writer:
        os.close(reader)
        writer.write(["x" * 100_000])


@pytest.mark.parametrize("suffix", [".vcf", ".tsv", ".html"])
def test_stream_without_a_suffix_receives_text(suffix: str) -> None:
    assert output_suffix("/dev/stdout", (suffix, f"{suffix}.gz")) == suffix
    assert output_suffix("-", (suffix, f"{suffix}.gz")) == suffix


@pytest.mark.parametrize("suffixes", [(".svg", ".png"), (".parquet",)])
def test_stream_without_a_suffix_and_a_text_format_is_refused(suffixes: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="expected a name that ends in"):
        output_suffix("/dev/stdout", suffixes)


@pytest.mark.parametrize("suffix", [".vcf.gz", ".bcf", ".parquet", ".tsv.gz"])
def test_format_that_requires_a_regular_file_is_refused_for_a_fifo(
    tmp_path: pathlib.Path, suffix: str
) -> None:
    os.mkfifo(tmp_path / f"out{suffix}")
    with pytest.raises(UsageError, match=f"the format {suffix} requires"):
        output_suffix(tmp_path / f"out{suffix}", (suffix,))


def test_writer_of_a_binary_format_does_not_replace_a_fifo(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "out.parquet")
    with (
        pytest.raises(UsageError, match="is not a regular file"),
        LongTableWriter(tmp_path / "out.parquet", {}, {}),
    ):
        pass
    assert stat.S_ISFIFO((tmp_path / "out.parquet").stat().st_mode)


def test_open_descriptor_is_appended_to(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "all.tsv"
    with path.open("wb") as file:
        file.write(b"before\n")
        file.flush()
        with TextWriter(f"/dev/fd/{file.fileno()}") as writer:
            writer.write(["within\n"])
        file.write(b"after\n")
    assert path.read_bytes() == b"before\nwithin\nafter\n"
    assert os.listdir(tmp_path) == ["all.tsv"]


def test_descriptors_are_found_through_links(tmp_path: pathlib.Path) -> None:
    (tmp_path / "link").symlink_to("/dev/stdout")
    found = [
        find_descriptor(name) for name in ("/dev/stdout", tmp_path / "link", "/dev/fd/12", "/proc/self/fd/3")
    ]
    assert found == [1, 1, 12, 3]
    assert [find_descriptor(name) for name in (tmp_path / "absent", "/dev/null", tmp_path / "1")] == [
        None
    ] * 3
    assert is_stream(tmp_path / "link") and not is_stream(tmp_path / "absent") and not is_stream(tmp_path)


def test_descriptor_that_cannot_be_written_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "in").write_bytes(b"")
    with (tmp_path / "in").open("rb") as file:
        number = file.fileno()
        with pytest.raises(UsageError, match="is open only for reading"):
            check_stream(f"/dev/fd/{number}")
    with pytest.raises(UsageError, match="is not an open descriptor"):
        check_stream(f"/dev/fd/{number}")


def test_socket_is_refused(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("out.vcf")
        with pytest.raises(UsageError, match="is a socket"):
            check_stream("out.vcf")


def make_node(path: pathlib.Path, kind: int, number: tuple[int, int]) -> None:
    try:
        os.mknod(path, kind | 0o666, os.makedev(*number))
        if kind == stat.S_IFCHR:
            os.close(os.open(path, os.O_WRONLY))
    except PermissionError:
        pytest.skip("device nodes cannot be made or opened here")


@pytest.mark.parametrize("name", ["out.vcf", "table.tsv", "summary.json"])
def test_character_device_is_written_and_kept(
    tmp_path: pathlib.Path, result: RecordResult, name: str
) -> None:
    make_node(tmp_path / name, stat.S_IFCHR, NULL_DEVICE)
    create, given = WRITERS[name]
    write(create(tmp_path / name), result if given is None else given)
    assert stat.S_ISCHR((tmp_path / name).stat().st_mode)
    assert set(os.listdir(tmp_path)) == {name, "source.vcf"}


def test_block_device_is_refused(tmp_path: pathlib.Path) -> None:
    make_node(tmp_path / "out.vcf", stat.S_IFBLK, (7, 200))
    with pytest.raises(UsageError, match="is a block device"):
        check_stream(tmp_path / "out.vcf")


def test_full_device_is_an_output_error() -> None:
    if not pathlib.Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with pytest.raises(OutputError, match="No space left"), TextWriter("/dev/full") as writer:
        writer.write(["text"])
