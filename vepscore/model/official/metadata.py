"""The track metadata of an official checkpoint: names, strands, biosamples and means of one organism's tracks.

It is a `MetadataResponse` message of the `alphagenome` package as text, plain or gzipped. Fields that are not needed,
or not known, are passed over.
"""

import dataclasses
import gzip
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from vepscore.errors import CheckpointError
from vepscore.genome.text_file import GZIP_MAGIC
from vepscore.model.official.textproto import Malformed, Message, parse
from vepscore.outputs import Output, Tracks

_HINT = "give OutputMetadataResponse_ORGANISM_….textproto of the official checkpoint, plain or gzipped"
_LARGEST_BYTES = 1 << 26  # the official files have 3 MB; a genome given by mistake is not read to its end
_ORGANISMS = {
    "human": re.compile(r"HOMO_SAPIENS|(?<![a-z])human(?![a-z])", re.IGNORECASE),
    "mouse": re.compile(r"MUS_MUSCULUS|(?<![a-z])mouse(?![a-z])", re.IGNORECASE),
}
_OUTPUTS = {f"OUTPUT_TYPE_{output}": output for output in Output}
_STRANDS = {"STRAND_POSITIVE": "+", "STRAND_NEGATIVE": "-", "STRAND_UNSTRANDED": "."}
_ONTOLOGY = "ONTOLOGY_TYPE_"
_PADDING = "padding"
_SMALLEST_MEAN, _LARGEST_MEAN = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrackMetadata:
    """The tracks of one organism."""

    tracks: dict[Output, Tracks]  # the real ones; an output without any is absent
    channels: dict[Output, int]  # tracks of each output, padding included; of SPLICE_JUNCTIONS tissues


def read_metadata(path: Path) -> TrackMetadata:
    """Reads the metadata of one organism.

    Raises:
        CheckpointError: the file cannot be read, or is not such a message; the error names the line.

    Source: `dna_model.proto` and `construct_output_metadata` of the `alphagenome` package.
    """
    text = _read_text(path)
    try:
        return _metadata(parse(text))
    except Malformed as error:
        line = text.count("\n", 0, error.offset) + 1
        raise CheckpointError(f"{path} line {line}\n{error}", hint=_HINT) from error


def organism_of(path: Path) -> str | None:
    """The organism, "human" or "mouse", where the file's name says which."""
    found = [organism for organism, pattern in _ORGANISMS.items() if pattern.search(path.name)]
    return found[0] if len(found) == 1 else None


def check_channels(metadata: TrackMetadata, heads: Mapping[Output, int], *, where: Path) -> None:
    """Compares the tracks, padding included, with the channels of the checkpoint's heads.

    An output that the metadata lacks is none of the organism's.

    Raises:
        CheckpointError: they differ; all outputs that do are named.
    """
    problems = [
        f"{output}: found {found} tracks, expected {heads.get(output, 'none, since there is no such head')}"
        for output, found in metadata.channels.items()
        if found != heads.get(output)
    ]
    if problems:
        raise CheckpointError(
            f"{where}: the tracks do not fit the checkpoint's heads\n" + "\n".join(problems),
            hint="give the metadata that belongs to this checkpoint",
        )


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            zipped = file.peek(2).startswith(GZIP_MAGIC)  # a pipe could not be rewound
            content = (gzip.GzipFile(fileobj=file) if zipped else file).read(_LARGEST_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CheckpointError(f"{path}: not a whole gzip file ({error})", hint=_HINT) from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})", hint=_HINT) from error
    if len(content) > _LARGEST_BYTES:
        raise CheckpointError(f"{path}: over {_LARGEST_BYTES >> 20} MiB, so not track metadata", hint=_HINT)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise CheckpointError(f"{path} line {line}\nis not text ({error})", hint=_HINT) from error


def _metadata(response: Message) -> TrackMetadata:
    tracks, channels = {}, {}
    for entry in response.messages("output_metadata"):
        output = entry.choice("output_type", _OUTPUTS)
        if output in channels:
            raise Malformed(
                f"found {output} a second time, expected the metadata of one organism", entry.offset
            )
        payloads = entry.messages("tracks") + entry.messages("junctions")
        listed = [track for payload in payloads for track in payload.messages("metadata")]
        channels[output] = len(listed)
        names = [track.string("name") for track in listed]
        real = [channel for channel, name in enumerate(names) if name.lower() != _PADDING]
        if real:
            tracks[output] = _tracks(output, listed, real)
    if not channels:
        raise Malformed("found no output_metadata { … }, expected one for each output", response.offset)
    return TrackMetadata(tracks=tracks, channels=channels)


def _tracks(output: Output, listed: Sequence[Message], real: Sequence[int]) -> Tracks:
    chosen = [listed[channel] for channel in real]
    return Tracks(
        output=output,
        name=_text(track.string("name") for track in chosen),
        strand=_text(_strand(output, track) for track in chosen),
        ontology_curie=_text(map(_ontology_curie, chosen)),
        biosample_name=_text(map(_biosample_name, chosen)),
        assay=_text(track.string("assay") for track in chosen),
        nonzero_mean=np.array([_nonzero_mean(track) for track in chosen], np.float32),
        channel=np.array(real, np.int32),
    )


def _text(values: Iterable[str]) -> np.ndarray:
    return np.array(list(values), dtype=object)


def _strand(output: Output, track: Message) -> str:
    return "." if output is Output.SPLICE_JUNCTIONS else track.choice("strand", _STRANDS)


def _ontology_curie(track: Message) -> str:
    terms = track.messages("ontology_term")
    if not terms:
        return ""
    ontology = terms[-1].scalar("ontology_type")
    if not ontology.startswith(_ONTOLOGY):
        raise terms[-1].unexpected("ontology_type", f"{_ONTOLOGY}…")
    return f"{ontology.removeprefix(_ONTOLOGY)}:{terms[-1].number('id', int, default=0):07d}"


def _biosample_name(track: Message) -> str:
    biosamples = track.messages("biosample")
    return biosamples[-1].string("name") if biosamples else ""


def _nonzero_mean(track: Message) -> float:
    mean = track.number("nonzero_mean", float, default=1.0)
    if not _SMALLEST_MEAN <= mean <= _LARGEST_MEAN:
        raise track.unexpected("nonzero_mean", "a positive number")
    return mean
