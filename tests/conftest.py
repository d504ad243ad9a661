"""Fixtures and hooks for all tests."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

from tests.compiled import delete_if_large, keep_for_all_tests, link_compiled
from tests.paths import need

# Check annotations, with the shapes of arrays, at run time; before these modules are imported.
_ENGINE = (
    *("dense", "preparer", "scoring", "scoring_engine", "signal_reading", "signal_scorers", "sparse"),
    *("strand", "summary"),
)
install_import_hook(
    [
        "vepscore.model",
        "vepscore.networks",
        "vepscore.contract",
        "vepscore.scorers",
        *(f"vepscore.engine.{name}" for name in _ENGINE),
    ],
    "beartype.beartype",
)

LONGEST = "test_readme.py"


def pytest_configure(config: pytest.Config) -> None:
    """Share compiled programs between tests, and between the workers of pytest-xdist."""
    if not hasattr(config, "workerinput"):
        delete_if_large()
    keep_for_all_tests()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest file first, so that no worker of pytest-xdist ends with it alone."""
    items.sort(key=lambda item: item.path.name != LONGEST)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name gzip data by its kind: it holds the time, and all workers must name a test alike."""
    return "gzip" if isinstance(val, bytes) and val.startswith(b"\x1f\x8b") else None


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, object, object]:
    """Escape what is not UTF-8, such as a path in a log: a worker of pytest-xdist cannot send it."""
    return escape_surrogates((yield))


def escape_surrogates(data: object) -> object:
    """Return the data of a report with only valid Unicode."""
    if isinstance(data, str):
        return data.encode("utf-8", "backslashreplace").decode()
    if isinstance(data, dict):
        return {key: escape_surrogates(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return type(data)(map(escape_surrogates, data))
    return data


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the user's cache directory out of the tests, and give each worker of pytest-xdist one of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VEPSCORE_CACHE", str(link_compiled(tmp_path_factory.mktemp("cache"))))
        yield


@pytest.fixture(scope="session")
def official_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Write a checkpoint of the official size and layout with deterministic parameters: 1.6 GB, for slow tests."""
    folder = tmp_path_factory.mktemp("official") / "parity"
    subprocess.run([sys.executable, need("parity/params.py"), folder], check=True)
    yield folder
    shutil.rmtree(folder)


ReadFifo = Callable[[Path], Future[bytes]]


@pytest.fixture
def read_fifo() -> Iterator[ReadFifo]:
    """Create a FIFO and read it in a thread. At the end, a reader to which nothing was written is released."""
    made: list[int] = []

    def start(path: Path) -> Future[bytes]:
        os.mkfifo(path)
        made.append(os.open(path, os.O_PATH))
        return pool.submit(path.read_bytes)

    with ThreadPoolExecutor() as pool:
        yield start
        for handle in made:
            with contextlib.suppress(OSError):  # it has no reader
                os.close(os.open(f"/proc/self/fd/{handle}", os.O_WRONLY | os.O_NONBLOCK))
            os.close(handle)
