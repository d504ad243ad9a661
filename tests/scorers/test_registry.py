"""Every scorer that the packaging registers exists, under its own name."""

import importlib
import tomllib
from pathlib import Path

import pytest

from vepscore.contract import Scorer

PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
ENTRY_POINTS = tomllib.loads(PYPROJECT.read_text())["project"]["entry-points"]["vepscore.scorers"]


def load(target: str) -> Scorer:
    module, name = target.split(":")
    return getattr(importlib.import_module(module), name)


def test_all_builtin_scorers_are_registered():
    assert len(ENTRY_POINTS) == 20


@pytest.mark.parametrize(("name", "target"), ENTRY_POINTS.items())
def test_scorer_is_found_under_its_name(name, target):
    scorer = load(target)
    assert isinstance(scorer, Scorer)
    assert scorer.name == name


def test_scorers_are_distinct_and_hashable():
    assert len({load(target) for target in ENTRY_POINTS.values()}) == len(ENTRY_POINTS)
