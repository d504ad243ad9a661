"""What is installed is one package, whether the wheel is built from the source tree or from an sdist."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

from tests.builders import TinyGenome, build_genome, vcf_row, write_vcf
from tests.cli.commands import MAIN, ROOT
from vepscore import __version__
from vepscore.engine.scorer_plugins import list_scorers

FOREIGN_SCORERS = "raise ImportError('the package scorers of somebody else')\n"
LIST_TOP_LEVEL = """
import importlib.metadata
print(sorted({path.parts[0] for path in importlib.metadata.files("vepscore")}))
"""


def build_wheel(source: Path, folder: Path) -> Path:
    """Build a wheel as pip does."""
    return Path(next(WheelBuilder(str(source)).build(directory=str(folder), versions=["standard"])))


def names_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return sorted(archive.namelist())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(ROOT, tmp_path_factory.mktemp("wheel"))


def test_citation_and_changelog_name_this_version() -> None:
    assert f"\nversion {__version__} (software, " in (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"\n## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_wheel_has_one_top_level_package(wheel: Path) -> None:
    names = names_in(wheel)
    assert len(names) == len(set(names))
    assert {name.split("/")[0] for name in names} == {"vepscore", f"vepscore-{__version__}.dist-info"}


def test_wheel_has_every_module_and_the_weights(wheel: Path) -> None:
    sources = [path.relative_to(ROOT) for path in (ROOT / "vepscore").rglob("*.py")]
    sources += [Path("vepscore") / path.relative_to(ROOT) for path in (ROOT / "scorers").rglob("*.py")]
    sources += [
        Path("vepscore") / path.relative_to(ROOT) for path in (ROOT / "weights").rglob("*") if path.is_file()
    ]
    assert {path.as_posix() for path in sources} <= set(names_in(wheel))


def test_wheel_says_that_it_has_types(wheel: Path) -> None:
    assert "vepscore/py.typed" in names_in(wheel)


def test_wheel_has_the_module_of_each_built_in_scorer(wheel: Path) -> None:
    modules = {entry.module for entry in list_scorers() if entry.is_builtin}
    assert {f"{module.replace('.', '/')}.py" for module in modules} <= set(names_in(wheel))


def test_sdist_gives_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    sdist = next(SdistBuilder(str(ROOT)).build(directory=str(tmp_path)))
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    assert names_in(build_wheel(tmp_path / f"vepscore-{__version__}", tmp_path)) == names_in(wheel)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment with the wheel; its dependencies are those of this environment."""
    folder = tmp_path_factory.mktemp("fresh")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", wheel], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    found = [path for path in sys.path if Path(path).name == "site-packages"]
    (packages / "dependencies.pth").write_text("".join(f"{path}\n" for path in found))
    return python


@pytest.fixture(scope="module")
def collision(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a package `scorers` of somebody else."""
    folder = tmp_path_factory.mktemp("collision")
    (folder / "scorers").mkdir()
    (folder / "scorers" / "__init__.py").write_text(FOREIGN_SCORERS)
    return folder


def run_in(folder: Path, python: Path, program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a program there; Python finds modules in the folder first."""
    command = [python, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
def test_installation_has_one_top_level_package(installed: Path, collision: Path) -> None:
    done = run_in(collision, installed, LIST_TOP_LEVEL)
    assert done.stdout.strip() == str(["..", "vepscore", f"vepscore-{__version__}.dist-info"])


@pytest.mark.slow
def test_scorers_load_beside_a_foreign_package_of_that_name(installed: Path, collision: Path) -> None:
    done = run_in(collision, installed, MAIN, "scorers", "--check")
    remarks = [line.split("\t")[3] for line in done.stdout.splitlines()]
    assert set(remarks) == {"ok"} and len(remarks) == len(list_scorers())


@pytest.mark.slow
def test_run_beside_a_foreign_package_of_that_name(installed: Path, collision: Path, tmp_path: Path) -> None:
    genome: TinyGenome = build_genome(tmp_path)
    source = write_vcf(tmp_path / "in.vcf", vcf_row("chr1", 16_000, 1, "~"))
    options = ("-r", genome.fasta, "-s", "DNASE", "--window", 16_384, "-o", tmp_path / "out.vcf")
    run_in(collision, installed, MAIN, "score", source, *options)
    assert "VS_STATUS=OK" in (tmp_path / "out.vcf").read_text()
