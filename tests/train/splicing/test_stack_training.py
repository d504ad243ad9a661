"""The training of the stack: it learns a motif, and resumes."""

import dataclasses
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from vepscore.model.loading import stored_variables
from vepscore.networks.alphagenome.config import ModelConfig
from vepscore.networks.compact.compact_config import CompactConfig, SpliceStackConfig
from vepscore.networks.compact.compact_network import CompactNetwork
from vepscore.train.schedule import Schedule, Stage
from vepscore.train.segments import Segment
from vepscore.train.splicing.label_store import Chunk
from vepscore.train.splicing.splice_teachers import SpliceTeachers
from vepscore.train.splicing.splice_windows import SpliceWindows
from vepscore.train.splicing.splicing_recipe import Changes, SpliceSampling, SpliceStage, Splicing
from vepscore.train.splicing.stack_training import StackTraining, train_stack

CHUNK_BP, FLANK_BP, WINDOW_BP = 8_192, 16, 512
STACK = SpliceStackConfig(channels=8, widths=(3, 3), dilations=(1, 1), stem_width=5)


class Killed(BaseException):
    """Raised to end a run at a step."""


class MotifTeachers(SpliceTeachers):
    """Sees a donor before each GT that follows an A, and an acceptor after each AG that follows a C."""

    def __init__(self) -> None:
        self.flank_bp = FLANK_BP

    def predict_one(self, rng: np.random.Generator, codes: np.ndarray) -> np.ndarray:
        sites = np.zeros((*codes.shape, 2), np.float32)
        donor = (codes[:, :-2] == 0) & (codes[:, 1:-1] == 2) & (codes[:, 2:] == 3)
        acceptor = (codes[:, :-2] == 1) & (codes[:, 1:-1] == 0) & (codes[:, 2:] == 2)
        sites[:, :-2, 0], sites[:, 3:, 1] = 0.9 * donor, 0.9 * acceptor[:, :-1]
        return sites[:, FLANK_BP:-FLANK_BP]


def training(*stages: SpliceStage) -> StackTraining:
    rng, teachers = np.random.default_rng(0), MotifTeachers()
    chunks = [
        Chunk(
            segment=Segment(chrom="chr1", start0=0, codes=rng.integers(0, 4, CHUNK_BP, np.uint8)),
            start0=0,
            width_bp=CHUNK_BP,
            strand=strand,
            in_gene=True,
        )
        for strand in "+-"
    ]
    codes = [chunk.codes(-FLANK_BP, CHUNK_BP + 2 * FLANK_BP) for chunk in chunks]
    labels = [teachers.predict_one(rng, each[None])[0].astype(np.float16) for each in codes]
    splicing = Splicing(
        network=STACK,
        teachers=("motif",),
        stages=stages,
        peak_rate=0.02,
        average_decay=0.9,
        changes=Changes(count=6),
        junctions=Schedule(stages=(Stage(steps=1, window_bp=2_048, windows=1),), peak_rate=0.01),
    )
    return StackTraining(
        splicing=splicing, windows=SpliceWindows(chunks, labels, FLANK_BP), teachers=teachers, seed=5
    )


def create() -> CompactNetwork:
    config = CompactConfig(splicing=STACK, tracks=ModelConfig(organisms=1))
    return CompactNetwork(config, rngs=nnx.Rngs(0))


def arrays(network: CompactNetwork) -> dict[str, np.ndarray]:
    return {name: np.asarray(leaf.get_value()) for name, (_, leaf) in stored_variables(network).items()}


def test_a_motif_is_learned_and_what_changes_do_to_it(tmp_path: Path) -> None:
    losses: list[dict[str, float]] = []
    network = create()
    train_stack(
        network,
        training(SpliceStage(steps=160, windows=2, window_bp=WINDOW_BP, changed=0.5)),
        log=tmp_path / "log.jsonl",
        progress=tmp_path / "progress",
        observe=lambda _, found: losses.append(found),
    )
    of_changes = [each["changes"] for each in losses if "changes" in each]
    assert 50 < len(of_changes) < 110
    sites = [each["sites"] for each in losses]
    assert np.mean(sites[-20:]) < 0.3 * np.mean(sites[:20])
    assert np.mean(of_changes[-10:]) < 0.5 * np.mean(of_changes[:10])
    initial, found = arrays(create()), arrays(network)
    moved = {name for name in found if (found[name] != initial[name]).any()}
    assert {name.split(".")[0] for name in moved} == {"stack", "splice_heads"}
    assert {name.split(".")[1] for name in moved if name.startswith("splice_heads")} == {"sites"}


def test_an_interrupted_training_gives_the_same_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vepscore.train.step_loop._SAVED_STEPS", 2)
    stages = (
        SpliceStage(steps=2, windows=1, window_bp=256),
        SpliceStage(steps=5, windows=1, window_bp=256, changed=0.5),
    )
    job, steps = training(*stages), []

    def observe(step: int, losses: dict[str, float]) -> None:
        steps.append(step)
        if step == 5 and steps.count(step) == 1:
            raise Killed

    whole, resumed = create(), create()
    train_stack(whole, job, log=tmp_path / "a.jsonl", progress=tmp_path / "a")
    with pytest.raises(Killed):
        train_stack(create(), job, log=tmp_path / "b.jsonl", progress=tmp_path / "b", observe=observe)
    train_stack(resumed, job, log=tmp_path / "b.jsonl", progress=tmp_path / "b", observe=observe)
    assert steps == [1, 2, 3, 4, 5, 5, 6, 7]
    found, expected = arrays(resumed), arrays(whole)
    assert all(found[name].tobytes() == expected[name].tobytes() for name in expected)


def test_windows_have_the_labels_of_their_bases() -> None:
    job = training(SpliceStage(steps=1, windows=1, window_bp=256))
    rng, sampling = np.random.default_rng(1), job.splicing.sampling
    found = job.windows.sample(rng, sampling, 256, 20)
    expected = job.teachers.predict_one(rng, found.codes)
    np.testing.assert_allclose(found.sites, expected, atol=1e-3)
    everywhere = dataclasses.replace(sampling, sites=1.0, genes=0.0)
    assert job.windows.sample(rng, everywhere, 256, 50).sites.max(axis=(1, 2)).min() > 0.5
    pairs = job.windows.sample_changed(rng, sampling, job.splicing.changes, 256, 20)
    inside = pairs.codes[:, FLANK_BP:-FLANK_BP], pairs.changed[:, FLANK_BP:-FLANK_BP]
    aligned = pairs.source >= 0
    same = np.take_along_axis(inside[0], np.maximum(pairs.source, 0), axis=1) == inside[1]
    assert same[aligned].mean() > 0.97 and not (inside[0] == inside[1]).all()
    assert jnp.asarray(pairs.source).dtype == jnp.int32 and pairs.source.max() <= 255


def test_joined_windows_alternate_between_two() -> None:
    """One chunk consists of A and C, the other of G and T, with a site at every base."""
    rng = np.random.default_rng(0)
    segments = [
        Segment(
            chrom=f"chr{number}", start0=0, codes=rng.integers(2 * number, 2 * number + 2, CHUNK_BP, np.uint8)
        )
        for number in range(2)
    ]
    chunks = [
        Chunk(segment=segment, start0=0, width_bp=CHUNK_BP, strand="+", in_gene=True) for segment in segments
    ]
    labels = [np.full((CHUNK_BP, 2), number, np.float16) for number in range(2)]
    windows, sampling = SpliceWindows(chunks, labels, FLANK_BP), SpliceSampling(sites=0.5, genes=0.5)
    # Every change replaces a base near a site, thus in a piece of the second chunk.
    changes = Changes(
        joined=0.6,
        mean_piece_bp=100,
        sites=1.0,
        branch_points=0.0,
        exons=0.0,
        insertions=0.0,
        deletions=0.0,
    )
    found = windows.sample_changed(rng, sampling, changes, WINDOW_BP, 200)
    second = found.codes >= 2
    both = second.any(axis=1) & ~second.all(axis=1)
    assert both.mean() == pytest.approx(0.6 * 2 * 0.75 * 0.25, abs=0.1)
    boundaries = np.diff(second[both].astype(int), axis=1) != 0
    assert boundaries.sum(axis=1).mean() == pytest.approx(second.shape[1] / 100, rel=0.2)
    changed = found.codes != found.changed
    assert changed.any(axis=1)[both].mean() > 0.9
    for row in np.flatnonzero(both):
        near = np.convolve(second[row], np.ones(31), mode="same") > 0
        assert near[changed[row]].all()
