import gzip
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from vepscore.errors import CheckpointError
from vepscore.model.official.metadata import TrackMetadata, check_channels, organism_of, read_metadata
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
    assert caught.value.message.startswith(str(path))
    assert expected in caught.value.message
    assert "OutputMetadataResponse_ORGANISM_" in caught.value.hint


def track(fields: str) -> str:
    """A response with one track, whose fields stand in line 5."""
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
def test_told_apart_by_content(
    tmp_path: Path, metadata: TrackMetadata, prefix: bytes, compress: type
) -> None:
    found = read_metadata(write(tmp_path, compress(prefix + RESPONSE.replace("\n", "\r\n").encode())))
    assert found.channels == metadata.channels
    assert list(found.tracks[Output.RNA_SEQ].name) == list(metadata.tracks[Output.RNA_SEQ].name)


def test_unknown_fields_are_passed_over(tmp_path: Path) -> None:
    newer = 'name: "a" strand: STRAND_UNSTRANDED donors: [1, 2] shelf { name: "b" depth: -3 } assay_id: X7'
    found = read_metadata(write(tmp_path, 'version: "2 }" ' + track(newer)))
    assert list(found.tracks[Output.CAGE].name) == ["a"]


def test_an_ontology_of_later_days(tmp_path: Path) -> None:
    term = f"{STRANDED} ontology_term {{ ontology_type: ONTOLOGY_TYPE_BTO id: 7 }}"
    found = read_metadata(write(tmp_path, track(term)))
    assert list(found.tracks[Output.CAGE].ontology_curie) == ["BTO:0000007"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ('name: "a', '5\nfound a string that is not closed: name: "a'),
        ("name: a", "5\nfound name: a, expected a string in quotes"),
        ('name: "a"', "4\nfound strand: nothing, expected one of STRAND_POSITIVE"),
        ('name: "a" strand: PLUS', "5\nfound strand: PLUS, expected one of STRAND_POSITIVE, STRAND_NEGATIVE"),
        (f"{STRANDED} nonzero_mean: 0.1.2", "5\nfound nonzero_mean: 0.1.2, expected a number"),
        (f'{STRANDED}\nnonzero_mean: "1"', '6\nfound nonzero_mean: "1", expected a number'),
        (f"{STRANDED} ontology_term: CL", "5\nfound ontology_term: CL, expected ontology_term { … }"),
        (
            f"{STRANDED} ontology_term {{ id: 84 }}",
            "5\nfound ontology_type: nothing, expected ONTOLOGY_TYPE_…",
        ),
        (
            f"{STRANDED} ontology_term {{\nontology_type: ONTOLOGY_TYPE_CL\nid: CL84 }}",
            "7\nfound id: CL84, expected",
        ),
        (f'{STRANDED} biosample: "T-cell"', '5\nfound biosample: "T-cell", expected biosample { … }'),
        (f"{STRANDED} assay {{ }}", "5\nfound assay: { … }, expected assay: and a value"),
        (f"{STRANDED} }}", "8\nfound a } that closes nothing"),
    ],
)
def test_bad_fields_are_named_with_their_line(tmp_path: Path, fields: str, expected: str) -> None:
    refused(write(tmp_path, track(fields)), f"metadata.textproto line {expected}")


@pytest.mark.parametrize("mean", ["0", "-0.5", "nan", "inf", "1e39", "1e-60"])
def test_a_mean_that_cannot_scale(tmp_path: Path, mean: str) -> None:
    path = write(tmp_path, track(f"{STRANDED} nonzero_mean: {mean}"))
    refused(path, f"line 5\nfound nonzero_mean: {mean}, expected a positive number")


def test_unknown_output(tmp_path: Path) -> None:
    path = write(tmp_path, RESPONSE.replace("TYPE_PROCAP", "TYPE_PROPHET"))
    refused(path, "line 25\nfound output_type: OUTPUT_TYPE_PROPHET, expected one of OUTPUT_TYPE_ATAC")


def test_two_organisms_in_one_file(tmp_path: Path) -> None:
    refused(write(tmp_path, RESPONSE + RESPONSE), "line 36\nfound RNA_SEQ a second time")


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ("TYPE_RNA", "2\nfound a { that is not closed"),
        ("id: 4", "8\nfound a { that is not closed"),
        ("Ammon", '9\nfound a string that is not closed: name: "Ammon'),
        ("stage:", "9\nfound 'stage:', expected name: value"),
        ("padding", "20\nfound a string that is not closed"),
    ],
)
def test_truncated_text(tmp_path: Path, last: str, expected: str) -> None:
    text = RESPONSE[: RESPONSE.index(last) + len(last)]
    refused(write(tmp_path, text), f"line {expected}")


class Bomb:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_is_refused_and_not_loaded(tmp_path: Path, protocol: int) -> None:
    trace = tmp_path / "trace"
    refused(write(tmp_path, pickle.dumps(Bomb(trace), protocol)), "line 1\n")
    assert not trace.exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "line 1\nfound no output_metadata"),
        (b"# nothing but this\n", "line 1\nfound no output_metadata"),
        (b'version: "1"\n', "line 1\nfound no output_metadata"),
        (b'##provider: GENCODE\nchr1\tHAVANA\tgene\t1\t9\t.\t+\t.\tgene_id "x";\n', "line 2\nfound 'chr1"),
        (b'{"output_metadata": []}', "line 1\nfound '{"),
        (b">chr1\nACGT\n", "line 1\nfound '>chr1'"),
        (b"a: 1\nb: \xff\n", "line 2\nis not text"),
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
        "x.textproto: the tracks do not fit the checkpoint's heads",
        "RNA_SEQ: found 6 tracks, expected 7",
        "SPLICE_JUNCTIONS: found 2 tracks, expected none, since there is no such head",
    ]
    assert "metadata" in caught.value.hint
