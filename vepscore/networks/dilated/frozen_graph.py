"""Read the constants of a frozen TensorFlow graph, a protobuf message, without TensorFlow. Nothing of it is run.

Source: TensorFlow, `graph.proto`, `node_def.proto`, `attr_value.proto` and `tensor.proto`; the fields used here.
"""

import functools
import math
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from vepscore.errors import CheckpointError

_FLOAT = 1  # of `DataType`
_CONSTANT, _VALUE = "Const", "value"
_PACKAGE = "vepscore.tensorflow"
_FIELD = descriptor_pb2.FieldDescriptorProto
# By message, the number and the type of each field; a + marks a repeated field. The entries of a map are messages.
_MESSAGES = {
    "Graph": {"node": (1, "Node+")},
    "Node": {"name": (1, "string"), "op": (2, "string"), "attr": (5, "Attribute+")},
    "Attribute": {"key": (1, "string"), "value": (2, "Value")},
    "Value": {"tensor": (8, "Tensor")},
    "Tensor": {"dtype": (1, "int32"), "shape": (2, "Shape"), "content": (4, "bytes")},
    "Shape": {"dim": (2, "Dimension+")},
    "Dimension": {"size": (1, "int64")},
}


def read_constants(data: bytes, where: object) -> dict[str, np.ndarray]:
    """Return the float32 arrays among the constants of a graph, by the names of their nodes.

    Args:
        data: the content of the file.
        where: the file, for messages.

    Raises:
        CheckpointError: it is not a graph, or a constant has another size than its shape says.
    """
    try:
        graph = _graph_class().FromString(data)
    except DecodeError as error:
        raise CheckpointError(f"{where}: not a frozen TensorFlow graph ({error})") from error
    arrays = {}
    for node in graph.node:
        tensors = [entry.value.tensor for entry in node.attr if entry.key == _VALUE]
        if node.op == _CONSTANT and tensors and tensors[0].dtype == _FLOAT and tensors[0].content:
            arrays[node.name] = _array(tensors[0], f"{where}: {node.name}")
    if not arrays:
        raise CheckpointError(f"{where}: a TensorFlow graph without arrays")
    return arrays


def _array(tensor: Any, where: str) -> np.ndarray:
    shape = [dimension.size for dimension in tensor.shape.dim]
    if min(shape, default=1) < 0 or math.prod(shape) * 4 != len(tensor.content):
        raise CheckpointError(f"{where}: found {len(tensor.content)} bytes, expected the shape {shape}")
    return np.frombuffer(tensor.content, "<f4").reshape(shape)


@functools.cache
def _graph_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="frozen_graph.proto", package=_PACKAGE, syntax="proto3")
    for message, fields in _MESSAGES.items():
        descriptor = file.message_type.add(name=message)
        for name, (number, kind) in fields.items():
            field = descriptor.field.add(name=name, number=number, label=_FIELD.LABEL_OPTIONAL)
            if kind.endswith("+"):
                field.label = _FIELD.LABEL_REPEATED
            if kind.rstrip("+") in _MESSAGES:
                field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".{_PACKAGE}.{kind.rstrip('+')}"
            else:
                field.type = getattr(_FIELD, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Graph"))
