"""Teachers predict what their checkpoints do, for one strand."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.networks.alphagenome.tiny import create_random
from tests.networks.compact.compact_objects import build_small
from tests.networks.dilated.small import MARGIN_BP, random_codes
from tests.train.splicing.toy_splicing import TEACHER, teacher_network, write_teacher
from vepscore.errors import CheckpointError, TrainingError
from vepscore.genome.windows import reverse_complement
from vepscore.model.checkpoint import CheckpointConfig, load_checkpoint, save_checkpoint
from vepscore.model.network import Network, one_hot
from vepscore.networks.dilated.dilated_config import PangolinConfig
from vepscore.networks.dilated.published import pangolin_tracks
from vepscore.networks.dilated.splice_networks import Pangolin
from vepscore.outputs import Output
from vepscore.train.splicing.splice_teachers import SpliceTeachers, TeacherFacts, find_checkpoint

WIDTH_BP = 300
CODES = random_codes(WIDTH_BP + 2 * MARGIN_BP)


def predict(network: Network, codes: np.ndarray) -> np.ndarray:
    """Return the probabilities of the classes of both strands, from a whole window."""
    x = network.select(network.embed(one_hot(codes[None], jnp.float32), 0), Output.SPLICE_SITES)
    return np.asarray(network.predict(Output.SPLICE_SITES, x, 0))[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teachers")
    write_teacher(folder)
    write_teacher(folder, "other", seed=1)
    return folder


def test_mean_is_that_of_all_networks_on_the_strand(folder: Path) -> None:
    teachers = SpliceTeachers([folder / TEACHER, folder / "other"])
    assert teachers.flank_bp == MARGIN_BP
    expected = np.mean([predict(teacher_network(seed), CODES) for seed in (0, 1)], axis=0)
    np.testing.assert_allclose(teachers.predict_mean(CODES[None])[0], expected[:, :2], atol=1e-6)
    minus = teachers.predict_mean(reverse_complement(CODES)[None])[0][::-1]
    np.testing.assert_allclose(minus, expected[:, 2:], atol=1e-6)


def test_one_network_is_drawn(folder: Path) -> None:
    teachers = SpliceTeachers([folder / TEACHER])
    codes = np.stack([CODES, CODES[::-1]])
    drawn = [teachers.predict_one(np.random.default_rng(seed), codes) for seed in range(8)]
    members = [predict(member, CODES)[:, :2] for member in teacher_network().members()]
    assert np.abs(members[0] - members[1]).max() > 1e-3
    found = [min(range(2), key=lambda k: np.abs(each[0] - members[k]).max()) for each in drawn]
    assert set(found) == {0, 1}
    for each, number in zip(drawn, found, strict=True):
        assert each.shape == (2, WIDTH_BP, 2)
        np.testing.assert_allclose(each[0], members[number], atol=1e-6)
    np.testing.assert_allclose(np.mean(members, axis=0), predict(teacher_network(), CODES)[:, :2], atol=1e-6)


def test_networks_of_a_mean_are_drawn_of_each_teacher(folder: Path) -> None:
    teachers = SpliceTeachers([folder / TEACHER, folder / "other"])
    members = [[predict(each, CODES)[:, :2] for each in teacher_network(seed).members()] for seed in (0, 1)]
    pairs = [(first + second) / 2 for first in members[0] for second in members[1]]
    found = set()
    for seed in range(12):
        drawn = teachers.predict_mean(CODES[None], np.random.default_rng(seed), 1)[0]
        nearest = min(range(len(pairs)), key=lambda k: np.abs(drawn - pairs[k]).max())
        np.testing.assert_allclose(drawn, pairs[nearest], atol=1e-6)
        found.add(nearest)
    assert found == set(range(4))


def test_network_of_another_family_may_teach(tmp_path: Path) -> None:
    checkpoint = build_small(tmp_path)
    teachers = SpliceTeachers([checkpoint])
    codes = random_codes(WIDTH_BP + 2 * teachers.flank_bp)
    network = load_checkpoint(checkpoint, outputs=(Output.SPLICE_SITES,)).network
    expected = predict(network, codes)[teachers.flank_bp : -teachers.flank_bp]
    np.testing.assert_allclose(teachers.predict_mean(codes[None])[0], expected[:, :2], atol=1e-5)


def test_facts_are_those_of_the_checkpoint(folder: Path) -> None:
    facts = TeacherFacts.read(folder / TEACHER)
    assert facts[:3] == (TEACHER, "MIT", "Doe 2024") and len(facts.checkpoint) == 64


def test_teacher_is_found_in_the_data_directory_first(folder: Path, tmp_path: Path) -> None:
    assert find_checkpoint(TEACHER, folder) == folder / TEACHER
    assert find_checkpoint(str(folder / TEACHER), tmp_path) == folder / TEACHER
    with pytest.raises(CheckpointError, match="'nobody' is neither the name of a checkpoint nor a directory"):
        find_checkpoint("nobody", folder)


def test_checkpoint_without_splice_sites_cannot_teach(tmp_path: Path) -> None:
    sizes = PangolinConfig(channels=3, widths=(3,) * 4, dilations=(1,) * 4, replicates=1)
    config = CheckpointConfig(
        name="p",
        family="pangolin",
        architecture=sizes,
        organisms=("human",),
        window_bp=16_384,
        license="GPL-3.0-only",
    )
    network = create_random(lambda: Pangolin(sizes, rngs=nnx.Rngs(0)))
    save_checkpoint(tmp_path / "p", network, config, {"human": pangolin_tracks(sizes)})
    with pytest.raises(TrainingError, match="does not predict donors and acceptors of both strands at 1 bp"):
        SpliceTeachers([tmp_path / "p"])
