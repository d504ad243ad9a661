"""Every scorer that the packaging registers exists under its name."""

import importlib
import pkgutil

import pytest

from tests.builtin_scorers import BUILTIN, load
from vepscore.contract import Scorer


def test_every_scorer_of_the_package_is_registered() -> None:
    package = importlib.import_module(next(iter(BUILTIN.values())).rpartition(".")[0])
    modules = [f"{package.__name__}.{module.name}" for module in pkgutil.iter_modules(package.__path__)]
    defined = {
        f"{module}:{name}"
        for module in modules
        for name, value in vars(importlib.import_module(module)).items()
        if isinstance(value, Scorer)
    }
    assert defined == set(BUILTIN.values())


@pytest.mark.parametrize(("name", "target"), BUILTIN.items())
def test_scorer_is_found_under_its_name(name: str, target: str) -> None:
    scorer = load(target)
    assert isinstance(scorer, Scorer)
    assert scorer.name == name


def test_scorers_are_distinct_and_hashable() -> None:
    assert len({load(target) for target in BUILTIN.values()}) == len(BUILTIN)
