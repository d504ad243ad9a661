"""`vepscore weights fetch`, with a stand-in for the Hugging Face hub on this machine."""

import gzip
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.cli.commands import MAIN, ROOT, vepscore
from tests.cli.terminal import read_until
from tests.hub_server import COMMIT, TOKEN, Hub, serving
from tests.paths import need
from vepscore.model.checkpoint import checkpoint_digest
from vepscore.networks.alphagenome.official.hub import METADATA_FILES

NAME = "alphagenome-all-folds"

Fetch = Callable[..., CompletedProcess[str]]


@pytest.fixture
def hub(official: Path) -> Iterator[Hub]:
    with serving(Hub(repositories={f"google/{NAME}": official})) as hub:
        yield hub


@pytest.fixture
def environment(hub: Hub, tmp_path: Path) -> dict[str, str]:
    return {
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": TOKEN,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_OFFLINE": "0",
        "NO_PROXY": "*",
        "VEPSCORE_CACHE": str(tmp_path / "cache"),
        "VEPSCORE_WEIGHTS": str(tmp_path / "weights"),
        "VEPSCORE_METADATA_URL": f"{hub.url}/plain",
    }


@pytest.fixture
def fetch(environment: dict[str, str], metadata_options: list[str]) -> Fetch:
    """Run the command; `changed` are environment variables."""

    def run(*options: str, name: str = NAME, **changed: str) -> CompletedProcess[str]:
        arguments = ("weights", "fetch", name, *metadata_options, *options)
        return vepscore(*arguments, environment=environment | changed)

    return run


def downloads(environment: dict[str, str]) -> list[str]:
    folder = os.path.join(environment["VEPSCORE_CACHE"], "downloads")
    return [os.path.join(root, name) for root, _, names in os.walk(folder) for name in names]


@pytest.mark.slow
@pytest.mark.ci
def test_fetched_checkpoint_is_listed_and_equal_to_an_imported_one(
    fetch: Fetch, environment: dict[str, str], official: Path, metadata_options: list[str], tmp_path: Path
) -> None:
    done = fetch("--accept-terms")
    assert done.returncode == 0, done.stderr
    output = tmp_path / "weights" / NAME
    shown = dict(line.split(":", 1) for line in done.stdout.splitlines())
    assert shown["directory"].strip() == str(output)
    assert shown["organisms"].strip() == "human, mouse"
    assert shown["digest"].strip() == f"sha256:{checkpoint_digest(output)}"
    assert "non-commercial use only" in shown["terms"]
    assert "non-commercial use only" in done.stderr and "model-terms" in done.stderr
    assert downloads(environment) == []
    again = tmp_path / "again" / NAME
    imported = vepscore("weights", "import", str(official), *metadata_options, "-o", str(again))
    assert imported.returncode == 0, imported.stderr
    assert checkpoint_digest(again) == checkpoint_digest(output)
    assert vepscore("weights", "verify", NAME, environment=environment).returncode == 0
    listed = vepscore("weights", "list", environment=environment)
    assert [line.split("\t")[0] for line in listed.stdout.splitlines()] == ["vepscore-small", NAME]


def test_without_a_terminal_terms_need_an_option(fetch: Fetch, hub: Hub, tmp_path: Path) -> None:
    done = fetch()
    assert (done.returncode, done.stdout) == (2, "")
    assert "model-terms" in done.stderr and "--accept-terms" in done.stderr
    assert hub.requests == [] and not (tmp_path / "weights").exists()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"n\n", "the model terms were not accepted, so nothing was downloaded"),
        (b"y\n", "no Hugging Face token"),
    ],
)
def test_terms_are_prompted_for_on_a_terminal(
    environment: dict[str, str], metadata_options: list[str], hub: Hub, answer: bytes, message: str
) -> None:
    main, terminal = pty.openpty()
    del environment["HF_TOKEN"]
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, "weights", "fetch", NAME, *metadata_options],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if key != "HF_TOKEN"} | environment,
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=terminal,
    ) as process:
        os.close(terminal)
        shown = read_until(main, b"Do you accept")
        os.write(main, answer)
        shown += read_until(main, None)
        assert process.stdout.read() == b""
    os.close(main)
    assert process.returncode == 1
    assert b"non-commercial use only" in shown
    assert message in b" ".join(shown.split()).decode()
    assert hub.requests == []


@pytest.mark.parametrize("value", ["1", "yes"])
def test_offline_variable_is_obeyed(fetch: Fetch, hub: Hub, value: str) -> None:
    done = fetch("--accept-terms", HF_HUB_OFFLINE=value)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: HF_HUB_OFFLINE is set, so nothing is downloaded\n")
    assert hub.requests == []


def test_unknown_name_is_a_wrong_option(fetch: Fetch, hub: Hub) -> None:
    done = fetch("--accept-terms", name="alphagenome-fold-9")
    assert done.returncode == 2
    assert "'alphagenome-fold-9' cannot be fetched" in done.stderr and "alphagenome-fold-3" in done.stderr
    assert hub.requests == []


def test_nothing_is_overwritten(fetch: Fetch, hub: Hub, tmp_path: Path) -> None:
    taken = tmp_path / "weights" / NAME
    taken.mkdir(parents=True)
    (taken / "config.json").write_text("{}")
    done = fetch("--accept-terms")
    assert done.returncode == 2
    assert "exists already and is not overwritten" in done.stderr
    assert hub.requests == []


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"accepted": False}, "accept the terms with the account of the token"),
        ({"status": 503}, "rerun later"),
        ({"cut_after": 6 * [0]}, "the download resumes where it stopped"),
        ({"corrupt": {"_CHECKPOINT_METADATA"}}, "git hash is"),
        ({"repositories": {}}, "no such repository"),
    ],
)
def test_failure_leaves_nothing_at_the_output(
    fetch: Fetch, hub: Hub, tmp_path: Path, fault: dict[str, object], message: str
) -> None:
    for name, value in fault.items():
        setattr(hub, name, value)
    done = fetch("--accept-terms")
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: " in done.stderr and message in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "weights").exists()


def test_missing_token_is_a_failure(fetch: Fetch, hub: Hub) -> None:
    done = fetch("--accept-terms", HF_TOKEN="")
    assert done.returncode == 1
    assert "no Hugging Face token" in done.stderr and "hf auth login" in done.stderr
    assert hub.requests == []


@pytest.mark.slow
@pytest.mark.ci
def test_killed_download_is_resumed(
    fetch: Fetch, environment: dict[str, str], metadata_options: list[str], hub: Hub, tmp_path: Path
) -> None:
    hub.stall_after = 50_000
    program = f"import huggingface_hub.constants as c; c.DOWNLOAD_CHUNK_SIZE = 1000; {MAIN}"
    command = [sys.executable, "-c", program, "weights", "fetch", NAME, "--accept-terms", *metadata_options]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not any(path.endswith(".partial") and os.path.getsize(path) for path in downloads(environment)):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "weights").exists()
    hub.stall_after = None
    hub.requests.clear()
    output = tmp_path / "chosen"
    done = fetch("--accept-terms", "--dtype", "bfloat16", "--keep-download", "-o", str(output))
    assert done.returncode == 0, done.stderr
    assert any(span for span in hub.transfers())
    assert "dtype: bfloat16" in vepscore("weights", "info", str(output)).stdout
    kept = [path for path in downloads(environment) if path.endswith(f"{COMMIT}/_METADATA")]
    assert len(kept) == 1 and kept[0].removesuffix("/_METADATA") in done.stderr


def test_download_is_kept_if_it_is_not_a_checkpoint(
    fetch: Fetch, environment: dict[str, str], hub: Hub, tmp_path: Path
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "README.md").write_text("Weights moved.")
    hub.repositories = {f"google/{NAME}": folder}
    done = fetch("--accept-terms")
    assert (done.returncode, done.stdout) == (1, "")
    assert "warning: the downloaded files are kept in " in done.stderr and "Traceback" not in done.stderr
    assert any(path.endswith("README.md") for path in downloads(environment))
    assert not (tmp_path / "weights" / NAME).exists()


def test_default_metadata_are_the_official_ones(
    environment: dict[str, str], hub: Hub, tmp_path: Path
) -> None:
    """They do not match a tiny checkpoint, and the error shows that they were read."""
    hub.plain = tmp_path / "mirror"
    hub.plain.mkdir()
    for remote in METADATA_FILES.values():
        zipped = need(f"parity/{remote.name}.gz").read_bytes()
        (hub.plain / remote.name).write_bytes(gzip.decompress(zipped))
    done = vepscore("weights", "fetch", NAME, "--accept-terms", environment=environment)
    assert done.returncode == 1
    assert "ATAC: found 256 tracks" in done.stderr


def test_missing_metadata_are_a_failure(environment: dict[str, str], hub: Hub) -> None:
    done = vepscore("weights", "fetch", NAME, "--accept-terms", environment=environment)
    assert done.returncode == 1
    assert "answers 404" in done.stderr and "--metadata" in done.stderr


@pytest.mark.parametrize(("source", "library"), [("huggingface", "huggingface_hub"), ("kaggle", "kagglehub")])
def test_missing_library_names_the_extra(
    environment: dict[str, str], metadata_options: list[str], source: str, library: str
) -> None:
    program = f"import sys; sys.modules[{library!r}] = None; {MAIN}"
    arguments = ("weights", "fetch", NAME, "--from", source, "--accept-terms", *metadata_options)
    done = vepscore(*arguments, program=program, environment=environment)
    assert done.returncode == 1
    assert f"{library} is not installed" in done.stderr and "pip install 'vepscore[fetch]'" in done.stderr
