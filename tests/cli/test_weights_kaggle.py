"""`vepscore weights fetch --from kaggle`, with a stand-in for Kaggle on this machine."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.cli.commands import MAIN, vepscore
from tests.kaggle_server import KEY, Kaggle, serving

NAME = "alphagenome-all-folds"
MODEL = "google/alphagenome/JAX/all_folds"

Fetch = Callable[..., CompletedProcess[str]]


@pytest.fixture
def kaggle(official: Path) -> Iterator[Kaggle]:
    with serving(Kaggle(models={MODEL: official})) as kaggle:
        yield kaggle


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        "HOME": str(tmp_path),
        "HF_HUB_OFFLINE": "0",
        "KAGGLE_CONFIG_DIR": str(tmp_path / ".kaggle"),
        "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
        "KAGGLE_API_TOKEN": KEY,
        "NO_PROXY": "*",
        "VEPSCORE_CACHE": str(tmp_path / "cache"),
        "VEPSCORE_WEIGHTS": str(tmp_path / "weights"),
    }


@pytest.fixture
def fetch(environment: dict[str, str], metadata_options: list[str], kaggle: Kaggle) -> Fetch:
    """Run the command; kagglehub has one local address, without a port, which is changed here."""

    def run(**changed: str) -> CompletedProcess[str]:
        program = (
            "from kagglesdk import kaggle_env as e; "
            f"e._env_to_endpoint[e.KaggleEnv.LOCAL] = {kaggle.url!r}; {MAIN}"
        )
        arguments = ("weights", "fetch", NAME, "--from", "kaggle", "--accept-terms", *metadata_options)
        return vepscore(*arguments, program=program, environment=environment | changed)

    return run


def test_broken_transfer_is_resumed(
    fetch: Fetch, environment: dict[str, str], kaggle: Kaggle, official: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(official, tmp_path / "official")
    (folder / "large").write_bytes(bytes(3 * 2**20))
    kaggle.models = {MODEL: folder}
    kaggle.cut_after = [5 * 2**19]
    done = fetch()
    assert (done.returncode, done.stdout) == (1, "")
    assert "the download resumes where it stopped" in done.stderr
    assert not (tmp_path / "weights").exists()
    kaggle.transfers.clear()
    done = fetch()
    assert done.returncode == 0, done.stderr
    assert ("large", f"bytes={2 * 2**20}-") in kaggle.transfers
    assert done.stdout.startswith(f"checkpoint: {NAME}\n")
    assert vepscore("weights", "verify", NAME, environment=environment).returncode == 0
    assert not any((tmp_path / "cache" / "downloads").rglob("large"))


@pytest.mark.parametrize(
    ("fault", "changed", "message"),
    [
        ({"accepted": False}, {}, "accept the terms with the account of the credentials"),
        ({"models": {}}, {}, "no such model"),
        ({}, {"KAGGLE_API_TOKEN": "wrong"}, "the credentials are not valid"),
        ({}, {"KAGGLE_API_TOKEN": ""}, "no Kaggle credentials"),
        ({"url": "http://127.0.0.1:1"}, {}, "127.0.0.1 cannot be reached"),
        ({"corrupt": {"_METADATA"}}, {}, "does not match its hash"),
    ],
)
def test_failure_leaves_nothing_at_the_output(
    fetch: Fetch,
    kaggle: Kaggle,
    tmp_path: Path,
    fault: dict[str, object],
    changed: dict[str, str],
    message: str,
) -> None:
    for name, value in fault.items():
        setattr(kaggle, name, value)
    done = fetch(**changed)
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: " in done.stderr and message in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "weights").exists()
