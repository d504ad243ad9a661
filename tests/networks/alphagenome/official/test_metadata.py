"""Test that the official track metadata is read, and refused with line and column where it is damaged."""

import gzip
import os
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from vepscore.errors import CheckpointError
from vepscore.networks.alphagenome.official.metadata import (
    TrackMetadata,
    check_channels,
    organism_of,
    read_metadata,
)
from vepscore.outputs import Output

RESPONSE = r"""
output_metadata {
  output_type: OUTPUT_TYPE_RNA_SEQ
  tracks {
    metadata {
      name: "CL:0000047 polyA plus RNA-seq"
      strand: STRAND_POSITIVE
      ontology_term { ontology_type: ONTOLOGY_TYPE_CL id: 47 }
      biosample { type: BIOSAMPLE_TYPE_TISSUE name: "Ammon\'s horn" stage: "adult" }
      assay: "polyA plus RNA-seq"
      nonzero_mean: 0.14361684
    }
    metadata { name: "Padding" strand: STRAND_UNSTRANDED }
    metadata {
      name: "second"
      strand: STRAND_NEGATIVE
      ontology_term { ontology_type: ONTOLOGY_TYPE_NTR id: 12345678 }
    }
    metadata { name: "PADDING" strand: STRAND_UNSTRANDED }
    metadata { name: "padding of a nest" strand: STRAND_UNSTRANDED nonzero_mean: 2 }
    metadata { name: "padding" }
  }
}
output_metadata {
  output_type: OUTPUT_TYPE_PROCAP
  tracks { metadata { name: "Padding" } metadata { name: "Padding" } }
}
output_metadata {
  output_type: OUTPUT_TYPE_SPLICE_JUNCTIONS
  junctions {
    metadata { name: "junction_liver" biosample { name: "liver" } assay: "total RNA-seq" }
    metadata { name: "Padding" }
  }
}
"""


STRANDED = 'name: "a" strand: STRAND_POSITIVE'


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "metadata.textproto"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refused(path: Path, expected: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        read_metadata(path)
    assert len(caught.value.message) < 500
    assert caught.value.message.startswith(str(path))
    assert expected in caught.value.message
    assert "OutputMetadataResponse_ORGANISM_" in caught.value.hint


def track(fields: str) -> str:
    """Return a response with one track, whose fields are in line 5."""
    head = "output_metadata {\n  output_type: OUTPUT_TYPE_CAGE\n  tracks {\n    metadata {\n"
    return f"{head}      {fields}\n    }}\n  }}\n}}\n"


@pytest.fixture
def metadata(tmp_path: Path) -> TrackMetadata:
    return read_metadata(write(tmp_path, RESPONSE))


def test_columns(metadata: TrackMetadata) -> None:
    tracks = metadata.tracks[Output.RNA_SEQ]
    assert tracks.output is Output.RNA_SEQ
    assert list(tracks.name) == ["CL:0000047 polyA plus RNA-seq", "second", "padding of a nest"]
    assert list(tracks.strand) == ["+", "-", "."]
    assert list(tracks.ontology_curie) == ["CL:0000047", "NTR:12345678", ""]
    assert list(tracks.biosample_name) == ["Ammon's horn", "", ""]
    assert list(tracks.assay) == ["polyA plus RNA-seq", "", ""]
    assert tracks.nonzero_mean.tolist() == [np.float32(0.14361684), 1, 2]
    assert tracks.channel.tolist() == [0, 2, 4]
    assert (tracks.nonzero_mean.dtype, tracks.channel.dtype, tracks.name.dtype) == (
        np.float32,
        np.int32,
        object,
    )


def test_channels_count_the_padding(metadata: TrackMetadata) -> None:
    assert metadata.channels == {Output.RNA_SEQ: 6, Output.PROCAP: 2, Output.SPLICE_JUNCTIONS: 2}


def test_an_output_of_padding_alone_has_no_tracks(metadata: TrackMetadata) -> None:
    assert list(metadata.tracks) == [Output.RNA_SEQ, Output.SPLICE_JUNCTIONS]


def test_tissues_of_junctions_are_unstranded(metadata: TrackMetadata) -> None:
    tissues = metadata.tracks[Output.SPLICE_JUNCTIONS]
    assert (list(tissues.name), list(tissues.strand)) == (["junction_liver"], ["."])
    assert (list(tissues.biosample_name), list(tissues.assay)) == (["liver"], ["total RNA-seq"])


@pytest.mark.parametrize("prefix", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_compression_is_detected_from_the_content(
    tmp_path: Path, metadata: TrackMetadata, prefix: bytes, compress: type
) -> None:
    found = read_metadata(write(tmp_path, compress(prefix + RESPONSE.replace("\n", "\r\n").encode())))
    assert found.channels == metadata.channels
    assert list(found.tracks[Output.RNA_SEQ].name) == list(metadata.tracks[Output.RNA_SEQ].name)


def test_unknown_fields_are_skipped(tmp_path: Path) -> None:
    newer = 'name: "a" strand: STRAND_UNSTRANDED donors: [1, 2] shelf { name: "b" depth: -3 } assay_id: X7'
    found = read_metadata(write(tmp_path, 'version: "2 }" ' + track(newer)))
    assert list(found.tracks[Output.CAGE].name) == ["a"]


@pytest.mark.parametrize(
    ("fields", "place", "expected"),
    [
        ('name: "a', "line 5 column 13", "String missing ending quote: '\"a"),
        ("name: a", "line 5 column 13", "Expected string but found: 'a'"),
        ('name: "a" strand: PLUS', "line 5 column 25", "has no value named PLUS"),
        (f"{STRANDED} nonzero_mean: 0.1.2", "line 5 column 55", "Couldn't parse float: 0.1.2"),
        (f'{STRANDED}\nnonzero_mean: "1"', "line 6 column 15", 'Couldn\'t parse float: "1"'),
        (f"{STRANDED} ontology_term: CL", "line 5 column 56", 'Expected "{"'),
        (
            f"{STRANDED} ontology_term {{\nontology_type: ONTOLOGY_TYPE_CL\nid: CL84 }}",
            "line 7 column 5",
            "Couldn't parse integer: CL84",
        ),
        (f"{STRANDED} ontology_term {{ ontology_type: BTO }}", "line 5", "has no value named BTO"),
        (f'{STRANDED} biosample: "T-cell"', "line 5 column 52", 'Expected "{"'),
        (f"{STRANDED} assay {{ }}", "line 5 column 47", 'Expected ":"'),
        (f"{STRANDED} {STRANDED}", "line 5", 'should not have multiple "name" fields'),
        (f"{STRANDED} }}", "line 8 column 1", "got }"),
    ],
)
def test_syntax_errors_state_line_and_column(tmp_path: Path, fields: str, place: str, expected: str) -> None:
    path = write(tmp_path, track(fields))
    refused(path, f"metadata.textproto {place}")
    refused(path, expected)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ('name: "a"', 'strand is missing in\nname: "a"'),
        (f"{STRANDED} ontology_term {{ id: 84 }}", "ontology_type is missing in\nid: 84"),
    ],
)
def test_missing_fields_are_named_with_their_message(tmp_path: Path, fields: str, expected: str) -> None:
    refused(write(tmp_path, track(fields)), expected)


@pytest.mark.parametrize("mean", ["0", "-0.5", "nan", "inf", "1e+39", "1e-60"])
def test_a_mean_that_cannot_scale(tmp_path: Path, mean: str) -> None:
    path = write(tmp_path, track(f"{STRANDED} nonzero_mean: {mean}"))
    refused(path, f"track 'a': found nonzero_mean: {mean}, expected a positive number")


def test_unknown_output(tmp_path: Path) -> None:
    path = write(tmp_path, RESPONSE.replace("TYPE_PROCAP", "TYPE_PROPHET"))
    refused(path, "line 25 column 16\nEnum type")


def test_two_organisms_in_one_file(tmp_path: Path) -> None:
    refused(write(tmp_path, RESPONSE + RESPONSE), "found RNA_SEQ a second time")


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ("TYPE_RNA", "line 3 column 16\nEnum type"),
        ("id: 4", "Expected"),
        ("Ammon", "line 9 column 53\nString missing ending quote"),
        ("stage:", "Invalid field value"),
        ("padding", "line 20 column 22\nString missing ending quote"),
    ],
)
def test_truncated_text(tmp_path: Path, last: str, expected: str) -> None:
    text = RESPONSE[: RESPONSE.index(last) + len(last)]
    refused(write(tmp_path, text), expected)


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_is_refused_and_not_loaded(tmp_path: Path, protocol: int) -> None:
    trace = tmp_path / "trace"
    refused(write(tmp_path, pickle.dumps(Bomb(trace), protocol)), "")
    assert not trace.exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "found no output_metadata"),
        (b"# nothing but this\n", "found no output_metadata"),
        (b'version: "1"\n', "found no output_metadata"),
        (
            b'##provider: GENCODE\nchr1\tHAVANA\tgene\t1\t9\t.\t+\t.\tgene_id "x";\n',
            "line 2 column 6\nExpected",
        ),
        (b'{"output_metadata": []}', "line 1 column 1\nExpected identifier"),
        (b">chr1\nACGT\n", "line 1 column 1\nExpected identifier"),
        (b"a: 1\nb: \xff\n", "line 2\nis not text"),
        (b"a { " * 100_000, "messages are nested too deeply"),
        (b"a" * 10**6, "line 1 column 1000001"),
        (b'a: "' + rb"\x" * 10**6, "Invalid field value"),
        (gzip.compress(RESPONSE.encode())[:-20], "not a whole gzip file"),
        (gzip.compress(RESPONSE.encode()) + b"more", "not a whole gzip file"),
        (b"\x1f\x8b", "not a whole gzip file"),
        (b"\x1f\x8bnot", "not a whole gzip file"),
        (gzip.compress(bytes(1 << 27)), "over 64 MiB"),
    ],
    ids=[
        "empty",
        "comment",
        "other message",
        "GTF",
        "JSON",
        "FASTA",
        "Latin-1",
        "braces",
        "letters",
        "escapes",
        "half a gzip",
        "more than gzip",
        "magic only",
        "no gzip",
        "large",
    ],
)
def test_other_files(tmp_path: Path, content: bytes, expected: str) -> None:
    refused(write(tmp_path, content), expected)


def test_a_damaged_gzip(tmp_path: Path) -> None:
    content = bytearray(gzip.compress(RESPONSE.encode()))
    content[40] ^= 0xFF
    refused(write(tmp_path, bytes(content)), "not a whole gzip file")


def test_a_pipe(tmp_path: Path, metadata: TrackMetadata) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        pool.submit(pipe.write_bytes, gzip.compress(RESPONSE.encode()))
        assert read_metadata(pipe).channels == metadata.channels


def test_no_file(tmp_path: Path) -> None:
    refused(tmp_path / "absent", "cannot be read (No such file")
    refused(tmp_path, "cannot be read (Is a directory")


@pytest.mark.parametrize(
    ("name", "organism"),
    [
        ("OutputMetadataResponse_ORGANISM_HOMO_SAPIENS.textproto.gz", "human"),
        ("OutputMetadataResponse_ORGANISM_MUS_MUSCULUS.textproto", "mouse"),
        ("human.textproto", "human"),
        ("tracks_Mouse-2.txt", "mouse"),
        ("humane.textproto", None),
        ("dormouse.textproto", None),
        ("human_and_mouse.textproto", None),
        ("metadata.textproto", None),
    ],
)
def test_organism_by_name(name: str, organism: str | None) -> None:
    assert organism_of(Path("human") / "mouse" / name) == organism


HEADS = {Output.RNA_SEQ: 6, Output.PROCAP: 2, Output.SPLICE_JUNCTIONS: 2, Output.ATAC: 4}


def test_fitting_heads(metadata: TrackMetadata) -> None:
    check_channels(metadata, HEADS, where=Path("x.textproto"))


def test_all_heads_that_do_not_fit_are_named(metadata: TrackMetadata) -> None:
    heads = HEADS | {Output.RNA_SEQ: 7}
    del heads[Output.SPLICE_JUNCTIONS]
    with pytest.raises(CheckpointError) as caught:
        check_channels(metadata, heads, where=Path("x.textproto"))
    assert caught.value.message.splitlines() == [
        "x.textproto: the tracks do not match the checkpoint's heads",
        "RNA_SEQ: found 6 tracks, expected 7",
        "SPLICE_JUNCTIONS: found 2 tracks, expected none, since there is no such head",
    ]
    assert "metadata" in caught.value.hint
