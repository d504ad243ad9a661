"""The scorers that pyproject.toml registers."""

import importlib
import tomllib
from pathlib import Path

from vepscore.contract import Scorer

_PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
# name → "module:name"
BUILTIN: dict[str, str] = tomllib.loads(_PYPROJECT.read_text())["project"]["entry-points"]["vepscore.scorers"]


def load(target: str) -> Scorer:
    """Import a scorer from its entry point, without asking the installed package."""
    module, name = target.split(":")
    return getattr(importlib.import_module(module), name)


def names_in_all() -> set[str]:
    """Return the names of the scorers that `-s all` runs, if they can run."""
    return {name for name, target in BUILTIN.items() if not load(target).by_name_only}
