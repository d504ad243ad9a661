"""State dicts become the arrays of a checkpoint, and those that do not fit are refused."""

from pathlib import Path

import numpy as np
import pytest

from tests.networks.enformer.enformer_cases import (
    DESCRIPTIONS,
    TINY_SETTINGS,
    make_targets,
    tiny_state,
)
from vepscore.errors import CheckpointError
from vepscore.networks.enformer.config import EnformerConfig
from vepscore.networks.enformer.family import FAMILY
from vepscore.networks.state_dict_family import ImportedNetwork
from vepscore.outputs import Output

State = dict[str, np.ndarray]


def convert(state: State, folder: Path, **settings: object) -> ImportedNetwork:
    return FAMILY.convert(state, make_targets(folder), settings=TINY_SETTINGS | settings)


def refusal(state: State, folder: Path, **settings: object) -> str:
    with pytest.raises(CheckpointError) as raised:
        convert(state, folder, **settings)
    return str(raised.value)


def test_sizes_are_those_of_the_arrays(tmp_path: Path) -> None:
    assert convert(tiny_state(), tmp_path).architecture == EnformerConfig(
        stem_channels=24,
        tower_channels=(24, 32, 48),
        transformer_layers=2,
        attention_heads=2,
        key_channels=6,
        value_channels=24,
        position_features=24,
        window_bins=12,
        crop_bins=2,
        organisms=2,
        heads={
            Output.ATAC: 1,
            Output.DNASE: 2,
            Output.CAGE: 2,
            Output.CHIP_TF: 1,
            Output.CHIP_HISTONE: 1,
        },
    )


def test_window_is_the_published_one_by_default(tmp_path: Path) -> None:
    found, published = FAMILY.convert(tiny_state(), make_targets(tmp_path)).architecture, EnformerConfig()
    assert (found.window_bins, found.crop_bins) == (published.window_bins, published.crop_bins) == (1536, 320)
    context = FAMILY.context(published)
    assert (context.most_bp, context.margin_bp, context.step_bp) == (196_608, 40_960, 128)


def test_columns_of_heads_go_to_their_outputs(tmp_path: Path) -> None:
    state = tiny_state()
    imported = convert(state, tmp_path)
    human, mouse = (state[f"_heads.{organism}.0.weight"] for organism in ("human", "mouse"))
    np.testing.assert_array_equal(imported.arrays["heads.DNASE.weight"][0], human[[0, 3]].T)
    np.testing.assert_array_equal(imported.arrays["heads.CHIP_HISTONE.weight"][0], human[[4]].T)
    np.testing.assert_array_equal(imported.arrays["heads.CAGE.weight"][1], mouse[[0, 1]].T)
    np.testing.assert_array_equal(imported.arrays["heads.CAGE.bias"][0, 1:], 0)  # a human track less
    assert [*imported.tracks["human"][Output.DNASE].name] == ["ENCFF0", "ENCFF3"]


def test_one_organism(tmp_path: Path) -> None:
    targets = make_targets(tmp_path, {"mouse": DESCRIPTIONS["mouse"]})
    imported = FAMILY.convert(tiny_state(), targets, settings=TINY_SETTINGS)
    assert imported.architecture.organisms == 1
    assert [*imported.tracks] == ["mouse"]
    assert imported.arrays["heads.ATAC.weight"].shape == (1, 96, 1)


def test_names_of_the_trunk_are_accepted(tmp_path: Path) -> None:
    state = tiny_state()
    expected = convert(state, tmp_path).arrays
    places = {"stem": 1, "conv_tower": 2, "transformer": 4, "final_pointwise": 6}
    renamed = {}
    for name, array in state.items():
        part, _, rest = name.partition(".")
        renamed[f"_trunk.{places[part]}.{rest}" if part in places else name] = array
    assert not any(name.startswith("stem") for name in renamed)
    found = convert(renamed, tmp_path).arrays
    assert found.keys() == expected.keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, expected[name])


def test_state_dicts_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    state = tiny_state()
    bias = {"transformer.1.1.fn.1.bias": np.zeros(95, np.float32)}
    message = "misshapen: transformer.1.expand.bias, found (95,), expected (96,)"
    assert message in refusal(state | bias, tmp_path)
    narrow = {"transformer.0.0.fn.1.to_rel_k.weight": np.zeros((12, 20), np.float32)}
    assert "position_features: found 20, expected a multiple of 6" in refusal(state | narrow, tmp_path)
    assert "is missing" in refusal({}, tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window_bins": "many"}, 'window_bins: found "many", expected a whole number'),
        ({"target_length": 13}, "crop_bins: found -1, expected a whole number"),
        ({"target_length": None}, "target_length: found null, expected a whole number"),
    ],
)
def test_invalid_settings_are_refused(settings: dict[str, object], message: str, tmp_path: Path) -> None:
    assert message in refusal(tiny_state(), tmp_path, **settings)
