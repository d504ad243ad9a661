"""Check a trace against a run, and its count of memory by hand."""

import logging
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from tests.accelerators.traced_engine import TracedRun, list_functions, trace_run
from tests.builders import WINDOW_BP, build_checkpoint, build_genome, make_records, vcf_row
from vepscore.engine.preparer import AllelePreparer
from vepscore.engine.scorer_plugins import load_scorers
from vepscore.engine.sparse import SparseEngine
from vepscore.genome.annotation import Annotation
from vepscore.genome.fasta import Reference
from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.model.checkpoint import load_checkpoint

JAX_HELPERS = {"_broadcast_arrays", "_identity_fn"}  # which are no operations of a trace
COMPILING = re.compile(r"Compiling jit\((\w+)\)")


def test_a_run_compiles_nothing_that_is_not_traced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    genome = build_genome(tmp_path)
    checkpoint = load_checkpoint(build_checkpoint(tmp_path))
    preparer = AllelePreparer(
        reference=Reference(genome.fasta, tmp_path / "cache"),
        window_bp=WINDOW_BP,
        resolutions={output: table.resolution_bp for output, table in checkpoint.tracks.items()},
        annotation=Annotation.from_gtf(genome.gtf, tmp_path / "cache"),
        indel_anchor=IndelAnchor.BOTH,
    )
    records = make_records(vcf_row("chr1", 14_250, 1, "~"), vcf_row("chr1", 14_260, 2, "~"))
    alleles = [allele for record in records for allele in preparer.prepare(record)]
    scorers = [scorer for scorer in load_scorers() if not scorer.needs_polya]
    traced = trace_run(checkpoint.network, checkpoint.tracks, scorers, alleles, jax.devices("cpu")[0])
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        SparseEngine(checkpoint, scorers).score(alleles)
    compiled = {name for text in caplog.messages for name in COMPILING.findall(text)}
    assert {"_encode", "_run_tower", "_decode", "predict_signals", "count_junctions"} <= compiled
    known = {function.name for function in traced.functions}
    known |= {each.primitive.name for each in traced.operations}
    assert compiled - JAX_HELPERS <= known


def test_memory_of_a_run_by_hand() -> None:
    double = jax.jit(lambda x: jnp.concatenate([x, x]))

    def run(x: jax.Array) -> jax.Array:
        wide = double(x)
        return double(wide)[:1]

    operations = jax.make_jaxpr(run)(jax.ShapeDtypeStruct((100,), jnp.float32)).eqns
    functions, called = list_functions(operations)
    traced = TracedRun(operations=operations, functions=functions, called=called)
    assert [function.name for function in functions] == ["<lambda>", "<lambda>"]
    # Of x 400 bytes stay, and there are 800 and 1,600 at the second call.
    assert traced.peak_bytes([0, 0]) == 2_800
    assert traced.peak_bytes([5_000, 1]) == 6_200
