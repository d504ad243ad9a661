"""The results of a record as bytes and back, without loss and without anything that could execute code.

A JSON document, whose length comes first, and after it the arrays that it describes, little-endian.
"""

import dataclasses
import json
import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from vepscore.contract import ScoreBlock
from vepscore.genome.alleles import Status
from vepscore.genome.annotation import Gene
from vepscore.genome.windows import Window
from vepscore.io.results import AlleleResult, Detail
from vepscore.outputs import Output

_LENGTH = struct.Struct("<I")
_FLOAT, _INTEGER = np.dtype("<f4"), np.dtype("<i8")


def encode_results(alleles: Sequence[AlleleResult]) -> bytes:
    """The results of a record's ALTs."""
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
    """What `encode_results` was given.

    Raises:
        ValueError: the bytes are none that it made.
    """
    try:
        (length,) = _LENGTH.unpack_from(data)
        document = json.loads(data[_LENGTH.size : _LENGTH.size + length])
        genes = [gene and Gene(**gene) for gene in document["genes"]]
        arrays = _Arrays(data, _LENGTH.size + length)
        alleles = tuple(_restore(allele, genes, arrays) for allele in document["alleles"])
        if encode_results(alleles) != data:
            raise ValueError("they would be written otherwise")
    except (
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        OverflowError,
        RecursionError,
        struct.error,
    ) as error:
        raise ValueError(f"not the results of a record: {error}") from error
    return alleles


class _Arrays:
    """Arrays that lie one after the other."""

    def __init__(self, data: bytes, offset: int) -> None:
        self._data, self._offset = data, offset

    def take(self, dtype: np.dtype, *shape: int) -> np.ndarray:
        """The next one; a copy, which can be written to."""
        if min(shape) < 0:
            raise ValueError(f"an array of shape {shape}")
        count = math.prod(shape)
        array = np.frombuffer(self._data, dtype, count, self._offset).reshape(shape).copy()
        self._offset += count * dtype.itemsize
        return array


def _describe(allele: AlleleResult, genes: dict[Gene | None, int], arrays: list[bytes]) -> dict[str, Any]:
    blocks = []
    for block in allele.blocks:
        arrays.append(np.ascontiguousarray(block.values, _FLOAT).tobytes())
        if block.junctions is not None:
            arrays.append(np.ascontiguousarray(block.junctions, _INTEGER).tobytes())
        if block.positions is not None:
            arrays.append(np.ascontiguousarray(block.positions, _INTEGER).tobytes())
        blocks.append(
            {
                "scorer": block.scorer,
                "output": block.output.value,
                "shape": block.values.shape,
                "genes": [genes.setdefault(gene, len(genes)) for gene in block.genes],
                "junctions": block.junctions is not None,
                "positions": block.positions is not None,
                "labels": block.labels,
            }
        )
    return {
        "alt": allele.alt,
        "status": allele.status.value,
        "reason": allele.reason,
        "n_share": None if math.isnan(allele.n_share) else allele.n_share,
        "window": allele.window and dataclasses.asdict(allele.window),
        "fields": dict(allele.fields),
        "details": [dataclasses.asdict(detail) for detail in allele.details],
        "blocks": blocks,
    }


def _restore(allele: dict[str, Any], genes: list[Gene | None], arrays: _Arrays) -> AlleleResult:
    return AlleleResult(
        alt=allele["alt"],
        status=Status(allele["status"]),
        reason=allele["reason"],
        n_share=math.nan if allele["n_share"] is None else allele["n_share"],
        window=allele["window"] and Window(**allele["window"]),
        fields=allele["fields"],
        details=tuple(Detail(**detail) for detail in allele["details"]),
        blocks=tuple(
            ScoreBlock(
                scorer=block["scorer"],
                output=Output(block["output"]),
                values=arrays.take(_FLOAT, *block["shape"]),
                genes=tuple(genes[index] for index in block["genes"]),
                junctions=arrays.take(_INTEGER, len(block["genes"]), 2) if block["junctions"] else None,
                positions=arrays.take(_INTEGER, len(block["genes"])) if block["positions"] else None,
                labels=None if block["labels"] is None else tuple(block["labels"]),
            )
            for block in allele["blocks"]
        ),
    )
