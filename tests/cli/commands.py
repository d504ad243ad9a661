"""Run `vepscore` as a process of its own, and install plug-ins for it."""

import os
import pathlib
import subprocess
import sys
from collections.abc import Mapping

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAIN = "from vepscore.cli.main import main; main()"

SCORER_SOURCE = '''
from vepscore.contract import Scorer
from vepscore.outputs import Output

class Plugged(Scorer):
    """A scorer of a third party."""

    name = "{name}"
    output = Output.DNASE

    def footprint(self, site): ...
    def score(self, reference, alternate, masks): ...
    def rows(self, scores, footprint, site, tracks): ...

{name} = Plugged()
'''


def vepscore(
    *arguments: str,
    program: str = MAIN,
    path: pathlib.Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: str | None = None,
) -> subprocess.CompletedProcess:
    """Run the command of this source tree; `path` holds plug-ins, `program` replaces the console script."""
    extra = dict(environment or {}) | ({"PYTHONPATH": str(path)} if path else {})
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        env=os.environ | extra,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def install_plugin(
    folder: pathlib.Path,
    distribution: str,
    entry_points: Mapping[str, str],
    *,
    version: str = "1.0",
    group: str = "vepscore.scorers",
) -> None:
    """Write a distribution's metadata into `folder`, as an installer does, with plug-ins by name and target."""
    metadata = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    lines = [f"{name} = {target}" for name, target in entry_points.items()]
    (metadata / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))


def install_scorer(folder: pathlib.Path, distribution: str, name: str, module: str) -> None:
    """Install a distribution with one working scorer."""
    (folder / f"{module}.py").write_text(SCORER_SOURCE.format(name=name))
    install_plugin(folder, distribution, {name: f"{module}:{name}"})
