"""Encode the results of a record as bytes and decode them, without loss and without executing code.

The format is the length of a JSON document, the document, and the arrays that it describes, little-endian.
"""

import dataclasses
import io
import json
import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from vepscore.contract import ScoreMatrix
from vepscore.genome.alleles import Status
from vepscore.genome.annotation import Gene
from vepscore.genome.windows import Window
from vepscore.io.results import AlleleResult, Detail
from vepscore.outputs import Output

_LENGTH = struct.Struct("<I")
_FLOAT, _INTEGER = np.dtype("<f4"), np.dtype("<i8")
_DAMAGE = (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError, struct.error)


def encode_results(alleles: Sequence[AlleleResult]) -> bytes:
    """Encode the results of a record's ALTs."""
    genes: dict[Gene | None, int] = {}
    arrays: list[bytes] = []
    document = json.dumps(
        {
            "alleles": [_describe(allele, genes, arrays) for allele in alleles],
            "genes": [gene and dataclasses.asdict(gene) for gene in genes],
        },
        separators=(",", ":"),
    ).encode("utf-8")
    return b"".join([_LENGTH.pack(len(document)), document, *arrays])


def decode_results(data: bytes) -> tuple[AlleleResult, ...]:
    """Decode the output of `encode_results`.

    Raises:
        ValueError: the bytes are not an output of `encode_results`.
    """
    try:
        (length,) = _LENGTH.unpack_from(data)
        document = json.loads(data[_LENGTH.size : _LENGTH.size + length])
        genes = [gene and Gene(**gene) for gene in document["genes"]]
        arrays = io.BytesIO(data[_LENGTH.size + length :])
        alleles = tuple(_restore(allele, genes, arrays) for allele in document["alleles"])
        if encode_results(alleles) != data:
            raise ValueError("encoding them again gives other bytes")
    except _DAMAGE as error:
        raise ValueError(f"not the results of a record: {error}") from error
    return alleles


def _take(arrays: io.BytesIO, dtype: np.dtype, *shape: int) -> np.ndarray:
    """Return a writable copy of the next array."""
    data = arrays.read(math.prod(shape) * dtype.itemsize)
    return np.frombuffer(data, dtype).reshape(shape).copy()


def _describe(allele: AlleleResult, genes: dict[Gene | None, int], arrays: list[bytes]) -> dict[str, Any]:
    matrices = []
    for matrix in allele.matrices:
        arrays.append(np.ascontiguousarray(matrix.values, _FLOAT).tobytes())
        for places in (matrix.junctions, matrix.positions):
            if places is not None:
                arrays.append(np.ascontiguousarray(places, _INTEGER).tobytes())
        matrices.append(
            {
                "scorer": matrix.scorer,
                "output": matrix.output.value,
                "shape": matrix.values.shape,
                "genes": [genes.setdefault(gene, len(genes)) for gene in matrix.genes],
                "junctions": matrix.junctions is not None,
                "positions": matrix.positions is not None,
                "labels": matrix.labels,
                "entries": matrix.entries,
            }
        )
    return {
        "alt": allele.alt,
        "status": allele.status.value,
        "reason": allele.reason,
        "n_fraction": None if math.isnan(allele.n_fraction) else allele.n_fraction,
        "window": allele.window and dataclasses.asdict(allele.window),
        "fields": dict(allele.fields),
        "entries": allele.entries,
        "details": [dataclasses.asdict(detail) for detail in allele.details],
        "blocks": matrices,
    }


def _restore(allele: dict[str, Any], genes: list[Gene | None], arrays: io.BytesIO) -> AlleleResult:
    return AlleleResult(
        alt=allele["alt"],
        status=Status(allele["status"]),
        reason=allele["reason"],
        n_fraction=math.nan if allele["n_fraction"] is None else allele["n_fraction"],
        window=allele["window"] and Window(**allele["window"]),
        fields=allele["fields"],
        entries=tuple(allele["entries"]),
        details=tuple(Detail(**detail) for detail in allele["details"]),
        matrices=tuple(
            ScoreMatrix(
                scorer=matrix["scorer"],
                output=Output(matrix["output"]),
                values=_take(arrays, _FLOAT, *matrix["shape"]),
                genes=tuple(genes[index] for index in matrix["genes"]),
                junctions=_take(arrays, _INTEGER, len(matrix["genes"]), 2) if matrix["junctions"] else None,
                positions=_take(arrays, _INTEGER, len(matrix["genes"])) if matrix["positions"] else None,
                labels=None if matrix["labels"] is None else tuple(matrix["labels"]),
                entries=tuple(matrix["entries"]),
            )
            for matrix in allele["blocks"]
        ),
    )
