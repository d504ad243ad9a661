"""Run the scripts of examples/06_training, each as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.cli.commands import ROOT

TRAINING = ROOT / "examples" / "06_training"


def run_script(
    name: str, *arguments: object, environment: Mapping[str, str] | None = None, cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run a script with this source tree's package."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.run(
        [sys.executable, TRAINING / name, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | dict(environment or {}),
        capture_output=True,
        text=True,
        check=False,
    )
