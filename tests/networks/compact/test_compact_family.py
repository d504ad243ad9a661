"""The family from a checkpoint to scores: both engines agree, and only the parts that are scored are read and run."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.builders import TinyGenome, build_genome, make_records
from tests.engine.alleles import ROWS
from tests.engine.comparison import assert_scores_close, scores_of
from tests.engine.jobs import tiny_job
from tests.networks.compact.compact_objects import (
    SPLICING,
    TRACKS,
    WINDOW_BP,
    build_small,
    small_config,
    small_network,
)
from tests.scorers.cases import read_annotation
from vepscore.contract import ScoreMatrix
from vepscore.engine.job import Job, resolve_defaults
from vepscore.engine.session import Session, open_preparer, open_session
from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.model.allele_plan import ReadyAllele, plan_allele
from vepscore.model.checkpoint import load_checkpoint, read_config
from vepscore.model.loading import stored_variables
from vepscore.model.network import one_hot
from vepscore.model.stored_arrays import StoredArrays
from vepscore.networks.compact.family import FAMILY
from vepscore.options.option_types import EngineKind, Strand
from vepscore.outputs import Output

ONE_STRAND = (
    "past the contig's start",
    "past the contig's end",
)  # in a gene of the plus, and of the minus strand
KINDS = ("SNV in two genes", "insertion at an exon's end", "deletion", *ONE_STRAND)
SPLICE_SCORERS = ("SPLICE_SITES", "SPLICE_SITE_USAGE", "SPLICE_JUNCTIONS", "SPLICE_EVENTS")
SCORERS = (*SPLICE_SCORERS, "RNA_SEQ", "CAGE", "DNASE", "CONTACT_MAPS")
WIDE_BP = 32_768


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> TinyGenome:
    return build_genome(tmp_path_factory.mktemp("genome"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_small(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture
def job(genome: TinyGenome, checkpoint: Path) -> Job:
    return tiny_job(genome, checkpoint, "in.vcf", scorers=SCORERS)


def open_job(job: Job) -> Session:
    job = resolve_defaults(job)
    return open_session(job, open_preparer(job, source="in.vcf", assembly=""))


def alleles_of(session: Session, kinds: tuple[str, ...]) -> list[ReadyAllele]:
    records = make_records(*(ROWS[kind] for kind in kinds))
    prepared = [allele for record in records for allele in session.preparer.prepare(record)]
    return [allele for allele in prepared if isinstance(allele, ReadyAllele)]


def score(job: Job) -> list[list[ScoreMatrix]]:
    """Return the score matrices of each allele."""
    session = open_job(job)
    alleles = alleles_of(session, KINDS)
    assert len(alleles) == len(KINDS)
    return session.create_engine().score(alleles)


def assert_engines_agree(job: Job) -> None:
    sparse, dense = (score(job.changed(engine=kind)) for kind in (EngineKind.SPARSE, EngineKind.DENSE))
    for found, expected in zip(sparse, dense, strict=True):
        assert [matrix.scorer for matrix in found] == [matrix.scorer for matrix in expected]
        assert_scores_close(scores_of(found), scores_of(expected))
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_equal(one.positions, other.positions)
    matrices = [matrix for of_allele in sparse for matrix in of_allele]
    for scorer in {matrix.scorer for matrix in matrices}:
        values = [matrix.values for matrix in matrices if matrix.scorer == scorer]
        assert max(np.nanmax(np.abs(each), initial=0) for each in values) > 1e-4, scorer


def test_parts_that_are_scored_together_have_the_scores_of_each(job: Job) -> None:
    names = ("SPLICE_SITES",), ("DNASE", "CONTACT_MAPS")
    together, *alone = (score(job.changed(scorers=each)) for each in (names[0] + names[1], *names))
    for matrices, *of_parts in zip(together, *alone, strict=True):
        expected = {scorer: rows for part in of_parts for scorer, rows in scores_of(part).items()}
        assert_scores_close(scores_of(matrices), expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("anchor", "strand", "window"),
    [
        (IndelAnchor.BOTH, Strand.PLUS, 16_384),
        (IndelAnchor.LEFT, Strand.MINUS, 16_384),
        (IndelAnchor.BOTH, Strand.MINUS, WIDE_BP),
        (IndelAnchor.LEFT, Strand.PLUS, WIDE_BP),
    ],
)
def test_engines_agree_in_all_outputs(job: Job, anchor: IndelAnchor, strand: Strand, window: int) -> None:
    assert_engines_agree(job.changed(indel_anchor=anchor, strand=strand, window=window))


@pytest.mark.parametrize(
    ("anchor", "strand", "window"),
    [(IndelAnchor.LEFT, Strand.PLUS, 16_384), (IndelAnchor.BOTH, Strand.MINUS, WIDE_BP)],
)
def test_engines_agree_in_splicing(job: Job, anchor: IndelAnchor, strand: Strand, window: int) -> None:
    changes = {"indel_anchor": anchor, "strand": strand, "window": window}
    assert_engines_agree(job.changed(scorers=SPLICE_SCORERS, **changes))


def test_splicing_is_the_same_from_either_strand_and_in_wider_windows(job: Job) -> None:
    job = job.changed(scorers=("SPLICE_SITES", "SPLICE_EVENTS"))
    session = open_job(job)
    (allele,) = alleles_of(session, KINDS[:1])
    (expected,) = session.create_engine().score([allele])
    session = open_job(job.changed(strand=Strand.MINUS))
    (found,) = session.create_engine().score([allele])
    assert_scores_close(scores_of(found), scores_of(expected))
    session = open_job(job.changed(window=WIDE_BP))
    (found,) = session.create_engine().score(alleles_of(session, KINDS[:1]))
    assert_scores_close(scores_of(found), scores_of(expected))


@pytest.mark.parametrize("anchor", IndelAnchor)
def test_pages_are_embedded_as_whole_windows(job: Job, checkpoint: Path, anchor: IndelAnchor) -> None:
    output = Output.SPLICE_SITES
    session = open_job(job.changed(scorers=(output,), indel_anchor=anchor))
    engine = session.create_engine()
    network = load_checkpoint(checkpoint, outputs={output}).network
    embed = jax.jit(lambda codes: network.embed(one_hot(codes[None], jnp.float32), 0).splicing[0])
    strands = set()
    for allele in alleles_of(session, KINDS):
        plan = plan_allele(allele, engine.scorers)
        (group,) = plan.groups
        strands.add(group.strand)
        for readers in engine.predictor.read([plan]):
            read = [(readers.reference, 0, allele.reference_codes, group.reference_bins())]
            for number, codes in enumerate(allele.alternates):
                bins = group.alternate_bins(number, WINDOW_BP)
                read.append((readers.alternate, number * WINDOW_BP, codes, bins))
            for reader, offset, codes, bins in read:
                found = reader.read(network, output, jnp.asarray(bins + offset))
                by_strand = np.array(embed(codes)[bins]).reshape(len(bins), 2, -1)
                by_strand[:, [group.strand not in (strand, None) for strand in "+-"]] = np.nan
                expected = by_strand.reshape(len(bins), -1)
                np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
                assert len(bins) > 100
    assert strands == {"+", "-", None}


def test_alleles_of_one_window_that_read_other_strands_are_scored_as_alone(job: Job, tmp_path: Path) -> None:
    """What is known of the reference's plus strand is not taken for what an allele reads of both."""
    session = open_job(job.changed(scorers=SPLICE_SCORERS))
    (allele,) = alleles_of(session, KINDS[:1])
    outer = {"OUTER": ("protein_coding", "+", [[(12_000, 18_000)]])}
    inner = {"INNER": ("protein_coding", "-", [[(15_500, 16_500)]])}
    alleles = []
    for name, genes in (("plus", outer), ("both", outer | inner)):
        (tmp_path / name).mkdir()
        annotation = read_annotation(tmp_path / name, genes)
        alleles.append(
            dataclasses.replace(allele, site=dataclasses.replace(allele.site, annotation=annotation))
        )
    engine = session.create_engine()
    plans = [plan_allele(each, engine.scorers) for each in alleles]
    assert [[group.strand for group in plan.groups] for plan in plans] == [["+"], [None]]
    positions = [plan.groups[0].positions.reference.tobytes() for plan in plans]
    assert positions[0] == positions[1]
    order = [*alleles, alleles[0]]
    for each, found in zip(order, engine.score(order), strict=True):
        engine.clear_cache()
        (expected,) = engine.score([each])
        assert [matrix.values.tobytes() for matrix in found] == [
            matrix.values.tobytes() for matrix in expected
        ]
        assert max(np.nanmax(matrix.values) for matrix in found) > 0


def test_saved_network_is_loaded_again(checkpoint: Path) -> None:
    opened = load_checkpoint(checkpoint)
    assert read_config(checkpoint).architecture == opened.config.architecture == small_config()
    expected = small_network()
    FAMILY.prepare_to_store(expected)
    found = stored_variables(opened.network)
    assert found.keys() == stored_variables(expected).keys()
    for name, (_, leaf) in stored_variables(expected).items():
        np.testing.assert_array_equal(found[name][1].get_value(), leaf.get_value())


@pytest.mark.parametrize(
    ("outputs", "part"), [(SPLICING, "tracks"), (TRACKS, "stack")], ids=["splicing", "tracks"]
)
def test_part_that_is_not_scored_is_not_read(
    checkpoint: Path, outputs: tuple[Output, ...], part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    read = StoredArrays.read
    monkeypatch.setattr(
        StoredArrays, "read", lambda self, names, rows: (asked.extend(names), read(self, names, rows))[1]
    )
    network = load_checkpoint(checkpoint, outputs=set(outputs)).network
    assert getattr(network, part) is None
    assert asked and not any(name.startswith(f"{part}.") for name in asked)
    assert network.dtype == np.float32 and network.device.platform == "cpu"


@pytest.mark.parametrize(("scorer", "part"), [("DNASE", "_splicing"), ("SPLICE_SITES", "_tracks")])
def test_part_that_is_not_scored_is_not_run(job: Job, scorer: str, part: str) -> None:
    engine = open_job(job.changed(scorers=(scorer,))).create_engine()
    assert getattr(engine.predictor, part) is None


def test_pages_of_alternates_are_free_afterwards(job: Job) -> None:
    session = open_job(job.changed(scorers=("SPLICE_SITES", "DNASE")))
    engine = session.create_engine()
    stores = (
        lambda: engine.predictor._splicing._opened.stores[-1],
        lambda: engine.predictor._tracks._decoder.store,
    )
    alleles = alleles_of(session, KINDS[:1])
    free = []
    for _ in range(2):
        engine.score(alleles)
        free.append([find().free for find in stores])
    assert free[0] == free[1]
