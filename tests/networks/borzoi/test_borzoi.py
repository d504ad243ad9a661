"""Test Borzoi at small sizes: parity with borzoi-pytorch, the layers, and how a state dict is converted."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.networks.borzoi.borzoi_cases import (
    HUMAN,
    MOUSE,
    Rows,
    create_network,
    embed,
    input_dna,
    published_columns,
    state_dict,
    write_table,
)
from tests.networks.borzoi.borzoi_expected import HUMAN as EXPECTED_HUMAN
from tests.networks.borzoi.borzoi_expected import MOUSE as EXPECTED_MOUSE
from tests.networks.borzoi.borzoi_reference import CASES
from vepscore.errors import CheckpointError
from vepscore.model.family import abstract_network
from vepscore.networks.borzoi.config import BORZOI_HEADS, BorzoiConfig
from vepscore.networks.borzoi.family import FAMILY
from vepscore.networks.borzoi.heads import SquashedHead
from vepscore.networks.borzoi.layers import position_features
from vepscore.networks.borzoi.network import Borzoi
from vepscore.networks.state_dict_family import ImportedNetwork
from vepscore.networks.targets import Targets
from vepscore.outputs import Output
from vepscore.schema import parse

SMALL = CASES["small"]
CROP_BINS = 20
SETTINGS = {"bins_to_return": 16_384 - 2 * CROP_BINS}

Imported = ImportedNetwork[BorzoiConfig]


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Targets]:
    folder = tmp_path_factory.mktemp("targets")
    tables = {"human": HUMAN, "mouse": MOUSE}
    return FAMILY.read_tables(
        {name: write_table(folder / f"{name}.txt", rows) for name, rows in tables.items()}
    )


@pytest.fixture(scope="module")
def imported(targets: dict[str, Targets]) -> Imported:
    return FAMILY.convert(state_dict(SMALL), targets, settings=SETTINGS)


@pytest.fixture(scope="module")
def network(imported: Imported) -> Borzoi:
    return create_network(imported, organism_index=0)


@pytest.fixture(scope="module")
def embeddings(network: Borzoi) -> jnp.ndarray:
    return embed(network, input_dna(SMALL))


def test_predicts_what_borzoi_pytorch_predicts(
    imported: Imported, targets: dict[str, Targets], embeddings: jnp.ndarray
) -> None:
    for row, (organism, expected) in enumerate((("human", EXPECTED_HUMAN), ("mouse", EXPECTED_MOUSE))):
        network = create_network(imported, organism_index=row)
        found = published_columns(network, targets[organism], embeddings, squashed=True)
        assert len(found) == len(targets[organism].rows) - (organism == "mouse")  # GRO-seq has no output
        for column, values in found.items():
            scale = expected[:, column].std()
            np.testing.assert_allclose(values, expected[:, column], rtol=0, atol=1e-4 * scale)


def test_predictions_are_unsquashed_as_published(
    network: Borzoi, targets: dict[str, Targets], embeddings: jnp.ndarray
) -> None:
    squashed = published_columns(network, targets["human"], embeddings, squashed=True)
    found = published_columns(network, targets["human"], embeddings, squashed=False)
    for column, (_, soft_clip, scale, statistic, *_) in enumerate(HUMAN):
        values = squashed[column].astype(np.float64) / scale
        values = np.where(values > soft_clip, soft_clip + (values - soft_clip) ** 2, values)
        values = values ** (4 / 3) if statistic == "sum_sqrt" else values
        np.testing.assert_allclose(found[column], values * scale, rtol=1e-5)
    clipped = [column for column, row in enumerate(HUMAN) if (squashed[column] / row[2] > row[1]).any()]
    assert {HUMAN[column][3] for column in clipped} == {"sum", "mean", "sum_sqrt"}


def test_sizes_are_inferred(imported: Imported) -> None:
    assert imported.architecture == BorzoiConfig(
        stem_channels=6,
        tower_channels=(7, 8, 9, 10, 11, 12),
        transformer_layers=2,
        attention_heads=2,
        key_channels=3,
        value_channels=5,
        embedding_channels=13,
        crop_bins=CROP_BINS,
        heads={
            Output.ATAC: 2,
            Output.DNASE: 1,
            Output.CAGE: 2,
            Output.RNA_SEQ: 3,
            Output.CHIP_TF: 1,
            Output.CHIP_HISTONE: 1,
        },
    )


def test_one_organism(imported: Imported, targets: dict[str, Targets]) -> None:
    mouse = FAMILY.convert(state_dict(SMALL), {"mouse": targets["mouse"]}, settings=SETTINGS)
    assert mouse.architecture.organisms == 1
    assert mouse.architecture.heads == {Output.ATAC: 2, Output.RNA_SEQ: 1}
    assert [*mouse.tracks] == ["mouse"]
    of_both = imported.arrays["heads.RNA_SEQ.weight"]
    np.testing.assert_array_equal(mouse.arrays["heads.RNA_SEQ.weight"][0], of_both[1, :, :1])


def test_columns_go_to_the_heads_of_their_outputs(imported: Imported) -> None:
    bias = state_dict(SMALL)["human_head.bias"]
    np.testing.assert_array_equal(imported.arrays["heads.RNA_SEQ.bias"][0], bias[6:])
    np.testing.assert_allclose(imported.arrays["heads.RNA_SEQ.scale"][0], [0.3, 0.3, 0.01])
    np.testing.assert_allclose(imported.arrays["heads.RNA_SEQ.soft_clip"][0], [2, 2, 384])
    np.testing.assert_array_equal(imported.arrays["heads.RNA_SEQ.is_root"][0], 1)
    np.testing.assert_array_equal(imported.arrays["heads.CAGE.is_root"][0], 0)


def test_damaged_state_dicts(targets: dict[str, Targets]) -> None:
    state = state_dict(SMALL)
    name = "transformer.1.0.fn.1.to_q.weight"
    for changed, message in (
        ({key: array for key, array in state.items() if key != name}, f"{name} is missing"),
        (
            state | {"res_tower.10.norm.bias": state["unet1.1.norm.bias"]},
            "unexpected: res_tower.10.norm.bias",
        ),
        (state | {name: state[name][:, :-1]}, "misshapen: transformer.1.attention.query.kernel"),
        (state | {name: state[name][0]}, "expected 2 axes"),
        (state | {"human_head.weight": state["human_head.weight"][:-1]}, "the human head has 9 columns"),
        (state | {"transformer.0.0.fn.1.to_rel_k.weight": np.zeros((6, 3))}, "position_features: found 3"),
    ):
        with pytest.raises(CheckpointError, match=message):
            FAMILY.convert(changed, targets, settings=SETTINGS)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (2, 0, 'line 4, scale: found "0", expected a number above 0'),
        (1, "x", 'line 4, clip_soft: found "x", expected a number above 0'),
        (1, "nan", 'line 4, clip_soft: found "nan", expected a number above 0'),
    ],
)
def test_tables_with_invalid_numbers(field: int, value: object, message: str, tmp_path: Path) -> None:
    rows = [list(target) for target in HUMAN]
    rows[2][field] = value
    table: Rows = tuple(tuple(target) for target in rows)
    targets = FAMILY.read_tables({"human": write_table(tmp_path / "t.txt", table)})
    with pytest.raises(CheckpointError, match=message):
        FAMILY.convert(state_dict(SMALL), targets, settings=SETTINGS)


@pytest.mark.parametrize(
    ("settings", "crop_bins"),
    [
        ({}, 5120),
        ({"return_center_bins_only": True, "bins_to_return": 6144, "model_type": "borzoi"}, 5120),
        ({"return_center_bins_only": False, "bins_to_return": 6144}, 16),
    ],
)
def test_crop_is_that_of_the_settings(
    settings: dict[str, object], crop_bins: int, targets: dict[str, Targets]
) -> None:
    imported = FAMILY.convert(state_dict(SMALL), targets, settings=settings)
    assert imported.architecture.crop_bins == crop_bins


def test_invalid_settings_are_refused(targets: dict[str, Targets]) -> None:
    with pytest.raises(CheckpointError, match='bins_to_return: found "all", expected a whole number'):
        FAMILY.convert(state_dict(SMALL), targets, settings={"bins_to_return": "all"})


def test_default_is_the_published_network() -> None:
    config = BorzoiConfig()
    assert config.window_bp == 524_288
    assert (config.window_bp - 2 * config.margin_bp) // 32 == 6144
    assert config.heads == BORZOI_HEADS
    shapes = abstract_network(FAMILY, config)
    assert shapes.transformer[7].attention.value.kernel.shape == (1536, 1536)
    assert shapes.heads["RNA_SEQ"].weight.shape == (2, 1920, 1543)


def test_config_is_checked() -> None:
    with pytest.raises(ValueError, match="crop_bins: found 8192, expected at most 8191"):
        BorzoiConfig(crop_bins=8192)
    with pytest.raises(ValueError, match="tower_channels: found a list, expected 6 numbers"):
        parse(BorzoiConfig, {"tower_channels": [8, 8, 8]})
    with pytest.raises(ValueError, match="unknown field"):
        parse(BorzoiConfig, {"flash": True})


def test_position_features_are_central_masks() -> None:
    features = position_features(np.arange(-6, 7), 8, 80)
    widths = [81 ** (k / 4) - 1 for k in (1, 2, 3, 4)]  # 2, 8, 26, 80
    masks = np.array([[width > abs(distance) for width in widths] for distance in range(-6, 7)])
    np.testing.assert_array_equal(features[:, :4], masks)
    np.testing.assert_array_equal(features[:, 4:], np.sign(np.arange(-6, 7))[:, None] * masks)


def test_tracks_of_a_head_are_chosen(network: Borzoi, embeddings: jnp.ndarray) -> None:
    chosen = network.with_tracks({Output.RNA_SEQ: np.array([2, 0])})
    whole = network.predict(Output.RNA_SEQ, embeddings, 0)
    found = chosen.predict(Output.RNA_SEQ, embeddings, 0)
    np.testing.assert_allclose(found, whole[:, np.array([2, 0])], rtol=1e-6)
    assert network.heads["RNA_SEQ"].weight.shape[-1] == 3


def test_heads_of_other_outputs_are_dropped(imported: Imported) -> None:
    network = abstract_network(FAMILY, imported.architecture)
    network.keep_outputs([Output.CAGE])
    assert list(network.heads) == ["CAGE"]


def test_a_head_without_squashing_predicts_softplus() -> None:
    head = SquashedHead(1, 2, 3, rngs=nnx.Rngs(0))
    x = jnp.ones((4, 2))
    np.testing.assert_allclose(head(x, 0), np.log1p(np.exp(x @ head.weight[0])), rtol=1e-6)
