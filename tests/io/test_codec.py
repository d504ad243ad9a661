"""Encoded results are decoded unchanged, and other bytes are refused."""

import dataclasses
import math

import numpy as np
import pytest

from tests.io.samples import MYGENE, block_of, scored
from vepscore.genome.alleles import Status
from vepscore.genome.windows import Window
from vepscore.io.codec import decode_results, encode_results
from vepscore.io.results import AlleleResult
from vepscore.outputs import Output

BLOCKS = (
    block_of(Output.ATAC, [[0.1, -2e-38, math.nan]]),
    block_of(Output.RNA_SEQ, [[1, 2], [3, 4]], genes=(MYGENE, None)),
    block_of(
        Output.SPLICE_JUNCTIONS,
        [[1], [2]],
        genes=(MYGENE, MYGENE),
        junctions=np.array([[5, 2**40], [7, 9]], np.int64),
    ),
    dataclasses.replace(
        block_of(Output.SPLICE_SITES, [[1, math.nan]] * 2, genes=(MYGENE,) * 2),
        positions=np.array([-1, 2**40]),
        labels=("donor_gain", "é"),
    ),
    block_of(Output.CAGE, []),
)
RESULTS = (
    dataclasses.replace(
        scored("AC", VS_RNA=-0.1, VS_RNA_GENE='a "gene", é'),
        window=Window(chrom="chr1", start0=-5, end0=100),
        matrices=BLOCKS,
    ),
    AlleleResult(alt="<DEL>", status=Status.SYMBOLIC, reason="no sequence is given"),
)


def assert_same(found: tuple[AlleleResult, ...], expected: tuple[AlleleResult, ...]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        bare = [dataclasses.replace(allele, matrices=(), n_fraction=0) for allele in (one, other)]
        assert bare[0] == bare[1]
        np.testing.assert_equal(one.n_fraction, other.n_fraction)
        for matrix, same in zip(one.matrices, other.matrices, strict=True):
            assert (matrix.scorer, matrix.output, matrix.genes) == (same.scorer, same.output, same.genes)
            assert matrix.values.dtype == np.float32 and matrix.values.shape == same.values.shape
            assert matrix.values.tobytes() == same.values.tobytes()
            np.testing.assert_equal(matrix.junctions, same.junctions)
            np.testing.assert_equal(matrix.positions, same.positions)
            assert matrix.labels == same.labels


def test_results_are_decoded_unchanged() -> None:
    assert_same(decode_results(encode_results(RESULTS)), RESULTS)
    assert decode_results(encode_results(())) == ()


def test_values_of_another_byte_order_or_layout_are_the_same() -> None:
    values = np.asfortranarray(np.arange(6, dtype=">f4").reshape(2, 3))
    matrix = dataclasses.replace(block_of(Output.ATAC, [[0] * 3] * 2), values=values)
    allele = dataclasses.replace(RESULTS[0], matrices=(matrix,))
    assert (decode_results(encode_results([allele]))[0].matrices[0].values == values).all()


@pytest.mark.parametrize("size", [0, 3, 4, 20, -1])
def test_truncated_bytes_are_an_error(size: int) -> None:
    with pytest.raises(ValueError, match="not the results of a record"):
        decode_results(encode_results(RESULTS)[:size])


def test_other_documents_are_an_error() -> None:
    document = b'{"alleles": [{"alt": 5}], "genes": []}'
    with pytest.raises(ValueError, match="not the results of a record"):
        decode_results(len(document).to_bytes(4, "little") + document)
