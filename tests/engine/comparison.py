"""Compare the scores of two engines, and watch what they compile."""

import contextlib
import dataclasses
import logging
from collections.abc import Iterable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.builders import vcf_row
from tests.engine.alleles import ROWS, UNCHANGED, prepare
from tests.engine.plain import Scores
from vepscore.contract import ScoreMatrix
from vepscore.engine.dense import DenseEngine
from vepscore.engine.preparer import AllelePreparer
from vepscore.engine.scoring import Engine
from vepscore.model.allele_plan import ReadyAllele
from vepscore.model.checkpoint import Checkpoint
from vepscore.outputs import Output

# Sums of thousands of float32 numbers, and differences of their logarithms; two outputs are rounded to float16.
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}
HALF_PRECISION = {"rtol": 2e-3, "atol": 1e-3}
ROUNDED = ("SPLICE_SITE_USAGE", "SPLICE_JUNCTIONS")


def rows_of(matrix: ScoreMatrix) -> Scores:
    """Return the matrix's rows in the plain scorer's form."""
    keys = [() if gene is None else (gene.gene_id,) for gene in matrix.genes]
    if matrix.junctions is not None:
        keys = [(*key, *map(int, junction)) for key, junction in zip(keys, matrix.junctions, strict=True)]
    if matrix.labels is not None:
        keys = [(*key, label) for key, label in zip(keys, matrix.labels, strict=True)]
    assert len(set(keys)) == len(keys) == len(matrix.values)
    return dict(zip(keys, matrix.values, strict=True))


def scores_of(matrices: Iterable[ScoreMatrix]) -> dict[str, Scores]:
    """Return the rows of each scorer that has any."""
    return {matrix.scorer: rows_of(matrix) for matrix in matrices if len(matrix.values)}


def assert_scores_close(found: dict[str, Scores], expected: dict[str, Scores]) -> None:
    """Check that both have the same scorers and rows, and values within float32 rounding."""
    assert found.keys() == expected.keys()
    for scorer, rows in expected.items():
        assert found[scorer].keys() == rows.keys(), scorer
        tolerance = HALF_PRECISION if scorer in ROUNDED else TOLERANCE
        for row, values in rows.items():
            np.testing.assert_allclose(found[scorer][row], values, **tolerance, err_msg=f"{scorer} {row}")


def assert_unchanged_scores_nothing(engine: Engine, preparer: AllelePreparer) -> None:
    """Check that an ALT equal to REF scores exactly 0 with every scorer."""
    for allele in prepare(preparer, *UNCHANGED):
        (matrices,) = engine.score([allele])
        assert {matrix.scorer for matrix in matrices} == {scorer.name for scorer in engine.scorers}
        for matrix in matrices:
            assert not np.nan_to_num(matrix.values).any(), matrix.scorer
            assert matrix.positions is None or (matrix.positions == -1).all()


def score_in_batches(engine: DenseEngine, alleles: Sequence[ReadyAllele]) -> list[list[ScoreMatrix]]:
    """Score the alleles in batches of the engine's size; return the matrices of each allele."""
    return [
        matrices
        for first in range(0, len(alleles), engine.batch)
        for matrices in engine.score(alleles[first : first + engine.batch])
    ]


def assert_nothing_compiles_again(
    engine: Engine, preparer: AllelePreparer, caplog: pytest.LogCaptureFixture
) -> None:
    """Two genes and three, one expressed and four, spans of 3 and 12 bases: the padded sizes are the same."""
    seen = prepare(preparer, ROWS["SNV in two genes"], ROWS["insertion"])
    new = prepare(
        preparer,
        vcf_row("chr1", 15_250, 280, "~"),
        vcf_row("chr1", 15_900, 3, "~~~"),
        vcf_row("chr1", 17_900, 1, "~" + "ACT" * 4),
    )
    score_in_batches(engine, seen)
    with compilations(caplog) as found:
        score_in_batches(engine, new)
    assert found == []
    with compilations(caplog) as found:
        jax.jit(lambda x: x + 1)(1)
    assert found != []


@contextlib.contextmanager
def compilations(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Collect JAX's messages about what it compiles."""
    found: list[str] = []
    caplog.clear()
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        yield found
    found += [message for message in caplog.messages if message.startswith("Compiling")]


def break_head(checkpoint: Checkpoint, output: Output) -> Checkpoint:
    """Return a copy of the checkpoint in which a head returns NaN."""
    network = nnx.clone(checkpoint.network)
    bias = network.heads[str(output)].linear.bias
    bias.set_value(jnp.full(bias.shape, jnp.nan))
    return dataclasses.replace(checkpoint, network=network)
