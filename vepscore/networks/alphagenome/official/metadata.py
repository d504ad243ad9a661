"""The track metadata of an official checkpoint: names, strands, biosamples and means of one organism's tracks.

The file is a `MetadataResponse` message of the `alphagenome` package as text, uncompressed or gzipped. It is parsed by
`protobuf`, with the fields that are used here.
Source: `dna_model.proto` of the `alphagenome` package.
"""

import dataclasses
import functools
import gzip
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from vepscore.errors import CheckpointError
from vepscore.genome.text_file import GZIP_MAGIC
from vepscore.outputs import Output, Tracks

_HINT = "pass OutputMetadataResponse_ORGANISM_….textproto of the official checkpoint, uncompressed or gzipped"
_LARGEST_BYTES = 1 << 26  # the official files have 3 MB; a genome passed by mistake is not read to its end
_ORGANISMS = {
    "human": re.compile(r"HOMO_SAPIENS|(?<![a-z])human(?![a-z])", re.IGNORECASE),
    "mouse": re.compile(r"MUS_MUSCULUS|(?<![a-z])mouse(?![a-z])", re.IGNORECASE),
}
_STRANDS = {"STRAND_POSITIVE": "+", "STRAND_NEGATIVE": "-", "STRAND_UNSTRANDED": "."}
_PADDING = "padding"
_SMALLEST_MEAN, _LARGEST_MEAN = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)

_ENUMS = {
    "OutputType": [f"OUTPUT_TYPE_{output}" for output in Output],
    "Strand": [*_STRANDS],
    "OntologyType": [f"ONTOLOGY_TYPE_{name}" for name in ("CLO", "UBERON", "CL", "EFO", "NTR")],
}
# By message, the fields and their types; a + marks a repeated field.
_MESSAGES = {
    "MetadataResponse": {"output_metadata": "OutputMetadata+"},
    "OutputMetadata": {
        "output_type": "OutputType",
        "tracks": "TracksMetadata",
        "junctions": "TracksMetadata",
    },
    "TracksMetadata": {"metadata": "TrackMetadata+"},
    "TrackMetadata": {
        "name": "string",
        "strand": "Strand",
        "ontology_term": "OntologyTerm",
        "biosample": "Biosample",
        "assay": "string",
        "nonzero_mean": "double",
    },
    "OntologyTerm": {"ontology_type": "OntologyType", "id": "int64"},
    "Biosample": {"name": "string"},
}
_PACKAGE = "vepscore"
_LONGEST_MESSAGE = 200
_FIELD = descriptor_pb2.FieldDescriptorProto


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrackMetadata:
    """The tracks of one organism."""

    tracks: dict[Output, Tracks]  # without padding; outputs that have only padding are absent
    channels: dict[Output, int]  # number of tracks with padding; for SPLICE_JUNCTIONS of tissues


def read_metadata(path: Path) -> TrackMetadata:
    """Read the metadata of one organism.

    Raises:
        CheckpointError: the file cannot be read, or is not a metadata message.

    Source: `construct_output_metadata` of the `alphagenome` package.
    """
    text = _read_text(path)
    try:
        return _metadata(text_format.Parse(text, _response_class()(), allow_unknown_field=True))
    except text_format.ParseError as error:
        place = f" line {error.GetLine()}" if error.GetLine() else ""
        place += f" column {error.GetColumn()}" if error.GetColumn() else ""
        message = str(error).rpartition("': ")[2]  # without the line, which can be long
        raise CheckpointError(f"{path}{place}\n{message[:_LONGEST_MESSAGE]}", hint=_HINT) from error
    except RecursionError as error:
        raise CheckpointError(f"{path}\nmessages are nested too deeply", hint=_HINT) from error
    except ValueError as error:
        raise CheckpointError(f"{path}\n{error}", hint=_HINT) from error


def organism_of(path: Path) -> str | None:
    """Return the organism that the file name states, "human" or "mouse"; None if it states none or both."""
    found = [organism for organism, pattern in _ORGANISMS.items() if pattern.search(path.name)]
    return found[0] if len(found) == 1 else None


def check_channels(metadata: TrackMetadata, heads: Mapping[Output, int], *, where: Path) -> None:
    """Compare the number of tracks, with padding, with the channels of the checkpoint's heads.

    Outputs that the organism does not have are missing from the metadata.

    Raises:
        CheckpointError: they differ; all differences are listed.
    """
    problems = [
        f"{output}: found {found} tracks, expected {heads.get(output, 'none, since there is no such head')}"
        for output, found in metadata.channels.items()
        if found != heads.get(output)
    ]
    if problems:
        raise CheckpointError(
            f"{where}: the tracks do not match the checkpoint's heads\n" + "\n".join(problems),
            hint="pass the metadata of this checkpoint",
        )


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            zipped = file.peek(2).startswith(GZIP_MAGIC)  # not read, because a pipe cannot be rewound
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


def _metadata(response: Any) -> TrackMetadata:
    tracks, channels = {}, {}
    for entry in response.output_metadata:
        output = Output(_enum_name(entry, "output_type").removeprefix("OUTPUT_TYPE_"))
        if output in channels:
            raise ValueError(f"found {output} a second time, expected the metadata of one organism")
        listed = [*entry.tracks.metadata, *entry.junctions.metadata]
        channels[output] = len(listed)
        real = [channel for channel, track in enumerate(listed) if track.name.lower() != _PADDING]
        if real:
            tracks[output] = _tracks(output, listed, real)
    if not channels:
        raise ValueError("found no output_metadata { … }, expected one for each output")
    return TrackMetadata(tracks=tracks, channels=channels)


def _tracks(output: Output, listed: Sequence[Any], real: Sequence[int]) -> Tracks:
    chosen = [listed[channel] for channel in real]
    return Tracks(
        output=output,
        name=_text(track.name for track in chosen),
        strand=_text(_strand(output, track) for track in chosen),
        ontology_curie=_text(map(_ontology_curie, chosen)),
        biosample_name=_text(track.biosample.name for track in chosen),
        assay=_text(track.assay for track in chosen),
        nonzero_mean=np.array([_nonzero_mean(track) for track in chosen], np.float32),
        channel=np.array(real, np.int32),
    )


def _text(values: Iterable[str]) -> np.ndarray:
    return np.array(list(values), dtype=object)


def _strand(output: Output, track: Any) -> str:
    return "." if output is Output.SPLICE_JUNCTIONS else _STRANDS[_enum_name(track, "strand")]


def _ontology_curie(track: Any) -> str:
    if not track.HasField("ontology_term"):
        return ""
    ontology = _enum_name(track.ontology_term, "ontology_type").removeprefix("ONTOLOGY_TYPE_")
    return f"{ontology}:{track.ontology_term.id:07d}"


def _nonzero_mean(track: Any) -> float:
    mean = track.nonzero_mean if track.HasField("nonzero_mean") else 1.0
    if not _SMALLEST_MEAN <= mean <= _LARGEST_MEAN:
        raise ValueError(f"track {track.name!r}: found nonzero_mean: {mean:g}, expected a positive number")
    return mean


def _enum_name(message: Any, field: str) -> str:
    """Return the name of an enum field that must be set."""
    descriptor = message.DESCRIPTOR.fields_by_name[field]
    if not message.HasField(field):
        raise ValueError(f"{field} is missing in\n{message}".rstrip())
    return descriptor.enum_type.values_by_number[getattr(message, field)].name


@functools.cache
def _response_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="metadata.proto", package=_PACKAGE, syntax="proto2")
    for name, values in _ENUMS.items():
        enum = file.enum_type.add(name=name)
        for number, value in enumerate(values):
            enum.value.add(name=value, number=number)
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields.items(), start=1):
            message.field.add(name=field, number=number, **_field_type(kind))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.MetadataResponse"))


def _field_type(kind: str) -> dict[str, Any]:
    label = _FIELD.LABEL_REPEATED if kind.endswith("+") else _FIELD.LABEL_OPTIONAL
    name = kind.removesuffix("+")
    if name in _ENUMS or name in _MESSAGES:
        number = _FIELD.TYPE_ENUM if name in _ENUMS else _FIELD.TYPE_MESSAGE
        return {"label": label, "type": number, "type_name": f".{_PACKAGE}.{name}"}
    return {"label": label, "type": _FIELD.Type.Value(f"TYPE_{name.upper()}")}
