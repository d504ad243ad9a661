"""The packaging requires what the code imports, and nothing else."""

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
# The extra that installs the imports of each file or folder.
EXTRA_OF = {
    "vepscore/engine/cluster.py": "cluster",
    "vepscore/model/downloads.py": "fetch",
    "vepscore/networks/alphagenome/official": "fetch",
    "vepscore/io/bigwig.py": "tracks",
    "vepscore/io/figures.py": "plot",
    "vepscore/io/saturation_figure.py": "plot",
    "vepscore/io/drawing.py": "plot",
    "vepscore/networks/dilated/keras_arrays.py": "convert",
    "vepscore/report/page.py": "report",
    "vepscore/train": "train",
}
OURS = {"vepscore", "scorers"}


@functools.cache
def required(extra: str | None = None) -> frozenset[str]:
    """Return the distributions that an extra requires, or that are always required."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] if extra is None else project["optional-dependencies"][extra]
    names = frozenset(_normalized(re.match(r"[\w.-]+", line)[0]) for line in lines)
    return names - OURS  # an extra may include another one


@functools.cache
def imports() -> tuple[tuple[Path, str], ...]:
    """Return each file of the package with the top-level name of each third-party package that it imports."""
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
    """Return the installed distributions of a package, or its own name if it is not installed."""
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


def test_every_part_that_needs_an_extra_exists() -> None:
    assert [part for part in EXTRA_OF if not (ROOT / part).exists()] == []


def test_extra_all_has_every_extra_but_those_of_a_device() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (line,) = extras["all"]
    names = re.fullmatch(r"vepscore\[(.*)\]", line)
    assert names is not None and names[1].split(",") == sorted(extras.keys() - {"all", "cuda", "tpu"})


def test_versions_are_those_of_what_is_always_required() -> None:
    found = versions()
    assert list(found)[:2] == ["vepscore", "python"]
    installed = importlib.metadata.requires("vepscore")
    names = [re.match(r"[\w.-]+", line)[0] for line in installed if "extra" not in line]
    assert list(found)[2:] == [*names, "jaxlib"] and "not installed" not in found.values()
