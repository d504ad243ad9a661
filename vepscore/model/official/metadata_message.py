"""The protocol buffer message of the track metadata, with the fields that are used, and its parser.

Source: `MetadataResponse` in `dna_model.proto` of the `alphagenome` package.
"""

import functools
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from vepscore.outputs import Output

_ENUMS = {
    "OutputType": [f"OUTPUT_TYPE_{output}" for output in Output],
    "Strand": ["STRAND_POSITIVE", "STRAND_NEGATIVE", "STRAND_UNSTRANDED"],
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


class MetadataSyntaxError(ValueError):
    """The text is not a metadata message. `line` and `column` count from 1; None if unknown."""

    def __init__(self, message: str, line: int | None, column: int | None) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


def parse_metadata(text: str) -> Any:
    """Parse a `MetadataResponse` from text; fields that are not used are skipped.

    Raises:
        MetadataSyntaxError: the text is not such a message.
    """
    try:
        return text_format.Parse(text, _response_class()(), allow_unknown_field=True)
    except text_format.ParseError as error:
        message = str(error).rpartition("': ")[2]  # without the line, which can be long
        raise MetadataSyntaxError(message[:_LONGEST_MESSAGE], error.GetLine(), error.GetColumn()) from error
    except RecursionError as error:
        raise MetadataSyntaxError("messages are nested too deeply", None, None) from error


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
