"""The rules of the layout: which package may import which, and what `vepscore --help` must not import."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
HEAVY = (
    *("jax", "flax", "orbax", "pandas", "pyarrow", "pydantic", "pysam", "cyvcf2"),
    *("huggingface_hub", "kagglehub", "jinja2", "matplotlib", "pyBigWig"),
)

# What each part must not import. cli → engine → {io, model, contract} → genome, cli → report → evaluate → io → genome,
# and cli → train → {engine, evaluate}; the arrows never turn back.
ABOVE_GENOME = (
    "vepscore.io",
    "vepscore.model",
    "vepscore.engine",
    "vepscore.evaluate",
    "vepscore.report",
    "vepscore.cli",
    "vepscore.contract",
    "vepscore.scorers",
)
NETWORK = ("jax", "flax")
FORBIDDEN = {
    "vepscore/genome": (*ABOVE_GENOME, *NETWORK),
    "vepscore/model": (
        "vepscore.io",
        "vepscore.engine",
        "vepscore.evaluate",
        "vepscore.report",
        "vepscore.cli",
        "vepscore.scorers",
    ),
    "vepscore/io": (
        "vepscore.model",
        "vepscore.engine",
        "vepscore.evaluate",
        "vepscore.report",
        "vepscore.cli",
        "vepscore.scorers",
        *NETWORK,
    ),
    "vepscore/engine": ("vepscore.evaluate", "vepscore.report", "vepscore.cli", "vepscore.scorers"),
    "vepscore/evaluate": (
        "vepscore.model",
        "vepscore.engine",
        "vepscore.report",
        "vepscore.contract",
        "vepscore.cli",
        "vepscore.scorers",
        *NETWORK,
    ),
    "vepscore/report": (
        "vepscore.model",
        "vepscore.engine",
        "vepscore.train",
        "vepscore.contract",
        "vepscore.cli",
        "vepscore.scorers",
        *NETWORK,
    ),
    "vepscore/train": ("vepscore.report", "vepscore.cli", "vepscore.scorers"),
    "vepscore/cli": ("vepscore.scorers",),
    "vepscore/contract.py": (
        "vepscore.io",
        "vepscore.model",
        "vepscore.engine",
        "vepscore.evaluate",
        "vepscore.report",
        "vepscore.cli",
        "vepscore.scorers",
    ),
    "vepscore/outputs.py": ("vepscore", *NETWORK),
    "vepscore/errors.py": ("vepscore", *NETWORK, "numpy"),
    "vepscore/paths.py": ("vepscore", *NETWORK, "numpy"),
}
SCORERS_MAY_IMPORT = (
    "vepscore.scorers",
    "vepscore.contract",
    "vepscore.outputs",
    "vepscore.genome",
    "vepscore.errors",
)


def python_files(part: str) -> list[pathlib.Path]:
    path = ROOT / part
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


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


@pytest.mark.parametrize("part", FORBIDDEN)
def test_part_imports_nothing_above_it(part):
    broken = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in python_files(part)
        for name in sorted(imported_modules(path))
        if is_within(name, FORBIDDEN[part])
    ]
    assert not broken


def test_scorers_import_only_the_contract_and_the_vocabulary():
    broken = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in python_files("scorers")
        for name in sorted(imported_modules(path))
        if is_within(name, ("vepscore",)) and not is_within(name, SCORERS_MAY_IMPORT)
    ]
    assert not broken


def test_scorers_are_imported_as_a_part_of_vepscore():
    broken = [
        f"{path.relative_to(ROOT)} imports {name}"
        for folder in ("vepscore", "scorers", "tests", "examples")
        for path in python_files(folder)
        for name in sorted(imported_modules(path))
        if is_within(name, ("scorers",))
    ]
    assert not broken


def test_only_training_needs_the_train_extra():
    broken = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in python_files("vepscore") + python_files("scorers")
        if "train" not in path.relative_to(ROOT).with_suffix("").parts
        for name in sorted(imported_modules(path))
        if is_within(name, ("liftover", "optax", "sklearn", "vepscore.train"))
    ]
    assert not broken


def test_no_test_imports_a_test_module():
    """What tests have in common stands in a module of its own, so that each test module can change or run alone."""
    broken = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in python_files("tests")
        for name in sorted(imported_modules(path))
        if any(part.startswith("test_") for part in name.split(".")[:-1])
    ]
    assert broken == []


def test_relative_imports_are_resolved(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    file = tmp_path / "vepscore" / "io" / "vcf.py"
    file.parent.mkdir(parents=True)
    file.write_text("from ..model import network\nfrom . import fields\nimport jax.numpy as jnp\n")
    assert imported_modules(file) == {"vepscore.model.network", "vepscore.io.fields", "jax.numpy"}


def test_help_imports_nothing_heavy():
    program = f"import sys, vepscore.cli.main; print([name for name in {HEAVY} if name in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def test_readme_tree_names_every_source_file():
    tree = (ROOT / "README.md").read_text(encoding="utf-8").split("## The tree")[1].split("## Development")[0]
    missing = [
        str(path.relative_to(ROOT))
        for folder in ("vepscore", "scorers", "examples")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.name != "__init__.py" and f" {path.name} " not in tree
    ]
    assert missing == []
