"""Starts runs of `vepscore score` and sees how they end."""

import dataclasses
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.cli.scoring import Bench

QUICK = ("-s", "DNASE")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ended:
    """How a run ended."""

    status: int
    said: str


def start(
    bench: Bench, folder: pathlib.Path, *arguments: str | pathlib.Path, **options: Any
) -> subprocess.Popen[bytes]:
    environment = os.environ | bench.environment | options.pop("environment", {})
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    prefix = pipes.pop("prefix", [])
    return subprocess.Popen(
        [*prefix, *bench.command(*QUICK, *arguments)], cwd=folder, env=environment, **pipes
    )


def after(statement: str) -> list[str]:
    """What comes before a command so that it begins as the statement leaves the process."""
    program = f"import os, resource, sys; {statement}; os.execv(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-c", program]


def end(process: subprocess.Popen[bytes]) -> Ended:
    _, said = process.communicate(timeout=300)
    return Ended(status=process.returncode, said=(said or b"").decode())


def failed(ended: Ended, *messages: str) -> None:
    """The run ended with our error, and no traceback."""
    assert ended.status == 1, ended.said
    assert "error: " in ended.said and "Traceback" not in ended.said
    assert all(message in ended.said for message in messages), ended.said


def names(folder: pathlib.Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def wait_until(holds: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    for _ in range(3000):
        if holds():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    raise TimeoutError
