"""What the packaging requires is what the code imports, and no more."""

import ast
import functools
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from vepscore.versions import versions

ROOT = Path(__file__).resolve().parents[1]
# The extra that a command needs, by where its imports are.
EXTRA_OF = {
    "vepscore/engine/cluster.py": "cluster",
    "vepscore/model/official": "fetch",
    "vepscore/io/bigwig.py": "tracks",
    "vepscore/io/figures.py": "plot",
    "vepscore/io/picture.py": "plot",
    "vepscore/report/drawing.py": "plot",
    "vepscore/report/page.py": "report",
    "vepscore/train": "train",
}
OURS = {"vepscore", "scorers"}


@functools.cache
def required(extra: str | None = None) -> frozenset[str]:
    """The distributions that an extra requires, or that are always required."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] if extra is None else project["optional-dependencies"][extra]
    return frozenset(_normalized(re.match(r"[\w.-]+", line)[0]) for line in lines)


@functools.cache
def imports() -> tuple[tuple[Path, str], ...]:
    """Each product file with the top-level name of each package of others that it imports."""
    return tuple(_imports())


def _imports() -> Iterator[tuple[Path, str]]:
    for path in sorted([*(ROOT / "vepscore").rglob("*.py"), *(ROOT / "scorers").rglob("*.py")]):
        names = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module)
        for name in sorted({name.partition(".")[0] for name in names}):
            if name not in sys.stdlib_module_names and name not in OURS:
                yield path.relative_to(ROOT), name


@functools.cache
def distributions_of(package: str) -> frozenset[str]:
    """The installed distributions that a package is from; its own name where none is installed."""
    return frozenset(map(_normalized, _by_package().get(package, [package])))


@functools.cache
def _by_package() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_what_is_imported_is_required() -> None:
    undeclared = []
    for path, package in imports():
        extras = [extra for part, extra in EXTRA_OF.items() if path.is_relative_to(part)]
        known = required().union(*map(required, extras))
        if known.isdisjoint(distributions_of(package)):
            undeclared.append(f"{path} imports {package}")
    assert undeclared == []


def test_what_is_always_required_is_imported() -> None:
    imported = frozenset().union(*(distributions_of(package) for _, package in imports()))
    assert required() - imported == frozenset()


def test_what_an_extra_requires_is_imported_where_the_extra_is_needed() -> None:
    for part, extra in EXTRA_OF.items():
        parts = [part for part, of in EXTRA_OF.items() if of == extra]
        found = {
            name
            for path, package in imports()
            if any(path.is_relative_to(part) for part in parts)
            for name in distributions_of(package)
        }
        assert required(extra) - found == frozenset(), part


def test_versions_are_those_of_what_is_always_required() -> None:
    found = versions()
    assert list(found)[:2] == ["vepscore", "python"]
    installed = importlib.metadata.requires("vepscore")
    names = [re.match(r"[\w.-]+", line)[0] for line in installed if "extra" not in line]
    assert list(found)[2:] == [*names, "jaxlib"] and "not installed" not in found.values()
