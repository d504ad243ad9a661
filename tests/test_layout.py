"""The rules of the layout: which package may import which, and what `vepscore --help` must not import."""

import ast
import pathlib
import subprocess
import sys
from collections import Counter

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
HEAVY = (
    *("jax", "flax", "orbax", "pandas", "pyarrow", "pydantic", "pysam", "cyvcf2"),
    *("huggingface_hub", "kagglehub", "jinja2", "matplotlib", "pyBigWig"),
)

# What each part may import beside the vocabulary: cli → api → engine → {io, model} → {contract, options} → genome, and
# report and evaluate stand on io alone. An import the other way would make two parts one.
VOCABULARY = {"errors", "outputs", "paths", "plugins", "schema", "threads", "versions"}
MAY_IMPORT = {
    "genome": set(),
    "contract": {"genome"},
    "scorers": {"contract", "genome"},
    "model": {"contract", "genome"},
    "networks": {"contract", "genome", "model"},
    "options": {"genome"},
    "io": {"contract", "genome", "options"},
    "engine": {"contract", "genome", "io", "model", "options"},
    "evaluate": {"genome", "io"},
    "report": {"genome", "io"},
    "api": {"engine", "genome", "io", "model", "options"},
    "train": {"engine", "genome", "model", "networks"},
    "cli": {
        "api",
        "contract",
        "engine",
        "evaluate",
        "genome",
        "io",
        "model",
        "networks",
        "options",
        "report",
        "train",
    },
}
WITHOUT_JAX = ("genome", "io", "evaluate", "report", "outputs", "errors", "paths")


def python_files(part: str) -> list[pathlib.Path]:
    """Return the modules of a folder of the repository, or the one module of that name."""
    path = ROOT / part
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def modules_of(part: str) -> list[pathlib.Path]:
    """Return the modules of a part of the package."""
    if part == "scorers":
        return python_files(part)  # `vepscore/scorers` is a link to it
    folder = ROOT / "vepscore" / part
    return python_files(f"vepscore/{part}") if folder.is_dir() else [folder.with_suffix(".py")]


def imported_modules(path: pathlib.Path) -> set[str]:
    """Full dotted names of all that a file imports, inside functions too."""
    package = path.relative_to(ROOT).parent.parts
    names = set()
    for node in ast.walk(ast.parse(path.read_text(), filename=str(path))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return names


def is_within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_part_imports_only_parts_below_it(part: str) -> None:
    allowed = MAY_IMPORT[part] | VOCABULARY | {part, "__version__"}
    broken = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules_of(part)
        for name in sorted(imported_modules(path))
        if name.startswith("vepscore.") and name.split(".")[1] not in allowed
    ]
    assert broken == []


@pytest.mark.parametrize("command", ["score", "predict", "ism"])
def test_commands_call_the_python_api(command: str) -> None:
    names = imported_modules(ROOT / "vepscore" / "cli" / f"{command}.py")
    assert "vepscore.api.Model" in names
    of_engine = {name for name in names if is_within(name, ("vepscore.engine",))}
    assert of_engine == {"vepscore.engine.job.Job", "vepscore.engine.settings.set_up_process"}


@pytest.mark.parametrize("part", sorted(VOCABULARY))
def test_vocabulary_imports_only_vocabulary(part: str) -> None:
    names = {
        name.split(".")[1] for name in imported_modules(*modules_of(part)) if name.startswith("vepscore.")
    }
    assert names <= VOCABULARY | {"__version__"}


@pytest.mark.parametrize("part", WITHOUT_JAX)
def test_part_works_without_jax(part: str) -> None:
    broken = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules_of(part)
        for name in sorted(imported_modules(path))
        if is_within(name, ("jax", "flax"))
    ]
    assert broken == []


def test_module_names_are_unique() -> None:
    """A name in a stack trace says which file is meant; in the folder of a family, the folder says it."""
    families = ROOT / "vepscore" / "networks"
    names = Counter(
        path.stem
        for path in python_files("vepscore") + python_files("scorers")
        if path.stem != "__init__" and families not in path.parents
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_scorers_are_imported_as_a_part_of_vepscore() -> None:
    broken = [
        f"{path.relative_to(ROOT)} imports {name}"
        for folder in ("vepscore", "scorers", "tests", "examples")
        for path in python_files(folder)
        for name in sorted(imported_modules(path))
        if is_within(name, ("scorers",))
    ]
    assert not broken


def test_only_training_needs_the_train_extra() -> None:
    broken = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in python_files("vepscore") + python_files("scorers")
        if "train" not in path.relative_to(ROOT).with_suffix("").parts
        for name in sorted(imported_modules(path))
        if is_within(name, ("optax", "sklearn", "vepscore.train"))
    ]
    assert not broken


def test_no_test_imports_a_test_module() -> None:
    """What tests have in common stands in a module of its own, so that each test module can change or run alone."""
    broken = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in python_files("tests")
        for name in sorted(imported_modules(path))
        if any(part.startswith("test_") for part in name.split(".")[:-1])
    ]
    assert broken == []


def test_relative_imports_are_resolved(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    file = tmp_path / "vepscore" / "io" / "vcf.py"
    file.parent.mkdir(parents=True)
    file.write_text("from ..model import checkpoint\nfrom . import fields\nimport jax.numpy as jnp\n")
    assert imported_modules(file) == {
        "vepscore.model.checkpoint",
        "vepscore.io.fields",
        "jax.numpy",
    }


def test_help_imports_nothing_heavy() -> None:
    program = f"import sys, vepscore.cli.main; print([name for name in {HEAVY} if name in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def test_engine_names_no_family_and_a_family_no_scorer() -> None:
    names = {name for path in python_files("vepscore/engine") for name in imported_modules(path)}
    assert not [name for name in names if is_within(name, ("vepscore.networks",))]
    names = {name for path in python_files("vepscore/networks") for name in imported_modules(path)}
    assert not [name for name in names if is_within(name, ("vepscore.scorers", "vepscore.engine"))]
