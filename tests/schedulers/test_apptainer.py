"""examples/05_apptainer: what the definition does while a container is built, done in a clean folder."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.schedulers.conftest import EXAMPLES

ROOT = EXAMPLES.parent
DEFINITION = (EXAMPLES / "05_apptainer" / "vepscore.def").read_text()
SOURCE = "/opt/source"


def section(name: str) -> list[str]:
    """The lines of a section, without indentation."""
    text = re.search(rf"^%{name}\n((?: .*\n|\n)*)", DEFINITION, re.MULTILINE)[1]
    return [line.strip() for line in text.splitlines() if line.strip()]


def test_it_installs_as_the_readme_does() -> None:
    (install,) = [line for line in section("post") if line.startswith("pip ")]
    assert f"\n{install}\n" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_installed_from_its_files_alone_it_works(tmp_path: Path) -> None:
    """With a virtual environment in the place of the base image."""
    copy_files(tmp_path / "source")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "image"], check=True)
    for name in ("post", "test", "runscript"):
        run_section(name, tmp_path, "weights", "verify")
    assert not (tmp_path / "source").exists()


def copy_files(source: Path) -> None:
    """As %files says, but below `source`."""
    source.mkdir()
    for line in section("files"):
        here, there = line.split()
        copy = shutil.copytree if (ROOT / here).is_dir() else shutil.copy
        copy(ROOT / here, there.replace(SOURCE, str(source)))


def run_section(name: str, folder: Path, *arguments: str) -> None:
    script = "\n".join([*section("environment"), *section(name)]).replace(SOURCE, str(folder / "source"))
    done = subprocess.run(
        ["bash", "-euc", script, "container", *arguments],
        env=os.environ | {"PATH": f"{folder / 'image' / 'bin'}:/usr/bin:/bin"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"%{name}\n{done.stdout}{done.stderr}"
