"""Test the sizes of the published network, and the configurations that are refused."""

import dataclasses
import json

import pytest
from flax import nnx

from tests.networks.alphagenome.tiny import CONFIG
from vepscore.errors import CheckpointError
from vepscore.model.checkpoint import check_fields
from vepscore.model.loading import parameter_count
from vepscore.networks.alphagenome.config import (
    ALPHAGENOME_HEADS,
    TRACK_RESOLUTIONS_BP,
    ModelConfig,
    scored_resolution_bp,
)
from vepscore.networks.alphagenome.network import AlphaGenome
from vepscore.outputs import Output
from vepscore.schema import parse


def test_published_network_has_its_number_of_parameters() -> None:
    network = nnx.eval_shape(lambda: AlphaGenome(ModelConfig.alphagenome(), rngs=nnx.Rngs(0)))
    assert parameter_count(network) == 450_452_613


def test_published_sizes() -> None:
    config = ModelConfig.alphagenome()
    assert config.trunk_channels == 1536
    assert set(config.heads) == set(Output)


def test_changing_a_config_leaves_the_published_heads_alone() -> None:
    ModelConfig.alphagenome().heads.clear()
    assert len(ALPHAGENOME_HEADS) == len(Output)


@pytest.mark.parametrize("config", [ModelConfig(), ModelConfig.alphagenome(), CONFIG])
def test_json_round_trip(config: ModelConfig) -> None:
    assert parse(ModelConfig, json.loads(json.dumps(dataclasses.asdict(config)))) == config


def test_unknown_and_missing_fields_are_named_together() -> None:
    values = dataclasses.asdict(CONFIG)
    del values["channels"]
    with pytest.raises(CheckpointError, match=r"missing: \['channels'\]; unknown: \['chanels'\]") as caught:
        check_fields(ModelConfig, values | {"chanels": 8}, "config.json")
    assert caught.value.hint


def test_unknown_head_is_named() -> None:
    with pytest.raises(ValueError, match="'METHYLATION'") as caught:
        parse(ModelConfig, dataclasses.asdict(CONFIG) | {"heads": {"METHYLATION": 3}})
    assert "ATAC" in str(caught.value)


def test_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        CONFIG.channels = 16


def test_scored_resolution_is_one_that_the_head_predicts() -> None:
    assert all(scored_resolution_bp(output) in each for output, each in TRACK_RESOLUTIONS_BP.items())
