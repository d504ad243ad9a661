"""Download of official checkpoints from a stand-in for the hub on this machine."""

import gzip
import socket
import ssl
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.hub_server import COMMIT, TOKEN, Hub, serving
from tests.paths import need
from vepscore.errors import CheckpointError
from vepscore.model.downloads import (
    RemoteFile,
    check_online,
    download,
    locked,
    reaching,
    refused,
    unreachable,
)
from vepscore.networks.alphagenome.official.hub import (
    METADATA_FILES,
    METADATA_VARIABLE,
    fetch_from_huggingface,
    fetch_metadata,
)

NAME = "alphagenome-fold-1"
LARGE, LARGE_BYTES = "d/large", 3_000_000
CUT = 2_000_000
RETRIES = 5  # of huggingface_hub, without a byte between them

Fetch = Callable[..., Path]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    repository = tmp_path / "repository"
    (repository / "d").mkdir(parents=True)
    (repository / "_METADATA").write_text("{}")
    (repository / "d" / "small").write_bytes(b"small")
    (repository / LARGE).write_bytes(np.random.default_rng(0).bytes(LARGE_BYTES))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    set_up_client(monkeypatch)
    with serving(Hub(repositories={f"google/{NAME}": repository})) as hub:
        yield hub


def set_up_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client retry without a pause, and write in chunks smaller than the files here."""
    monkeypatch.setenv("NO_PROXY", "*")
    clock = types.SimpleNamespace(time=time.time, sleep=lambda seconds: None)
    monkeypatch.setattr("huggingface_hub.file_download.time", clock)
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 100_000)


@pytest.fixture
def fetch(hub: Hub, tmp_path: Path) -> Fetch:
    return lambda **options: fetch_from_huggingface(NAME, tmp_path / "cache", endpoint=hub.url, **options)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def is_complete(folder: Path, hub: Hub) -> bool:
    return contents(folder) == contents(hub.repositories[f"google/{NAME}"])


def fails(fetch: Callable[[], object], *expected: str) -> None:
    with pytest.raises(CheckpointError) as raised:
        fetch()
    for text in expected:
        assert text in str(raised.value)


def test_all_files_are_downloaded_and_no_others(hub: Hub, fetch: Fetch) -> None:
    folder = fetch()
    assert folder.name == COMMIT
    assert is_complete(folder, hub)


def test_token_is_sent_to_the_hub_only(hub: Hub, fetch: Fetch) -> None:
    fetch()
    headers = {path.split("/")[1]: headers for _, path, headers in hub.requests}
    assert headers["api"]["Authorization"] == headers["google"]["Authorization"] == f"Bearer {TOKEN}"
    assert "Authorization" not in headers["cdn"]


def test_progress_ends_at_the_total(fetch: Fetch) -> None:
    seen: list[tuple[int, int]] = []
    fetch(observe=lambda done, total: seen.append((done, total)))
    total = LARGE_BYTES + len("small") + len("{}")
    assert seen[-1] == (total, total)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_complete_files_are_not_downloaded_again(hub: Hub, fetch: Fetch) -> None:
    fetch()
    hub.requests.clear()
    fetch()
    assert [path for _, path, _ in hub.requests] == [f"/api/models/google/{NAME}"]


def test_broken_transfer_is_resumed_in_the_same_call(hub: Hub, fetch: Fetch) -> None:
    hub.cut_after = [CUT]
    assert is_complete(fetch(), hub)
    assert hub.transfers() == ["", f"bytes={CUT}-"]


def test_broken_transfer_is_resumed_by_the_next_call(hub: Hub, fetch: Fetch) -> None:
    hub.cut_after = [CUT] + RETRIES * [0]
    fails(fetch, "the transfer broke off", "rerun: the download resumes where it stopped")
    hub.requests.clear()
    assert is_complete(fetch(), hub)
    assert hub.transfers() == [f"bytes={CUT}-"]


def test_server_without_ranges_sends_the_file_again(hub: Hub, fetch: Fetch) -> None:
    hub.cut_after, hub.ranges = [CUT], False
    assert is_complete(fetch(), hub)


def test_partial_file_that_is_too_long_is_deleted(hub: Hub, fetch: Fetch, tmp_path: Path) -> None:
    partial = tmp_path / "cache" / COMMIT / f"{LARGE}.partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(bytes(LARGE_BYTES + 1))
    assert is_complete(fetch(), hub)


@pytest.mark.parametrize(("name", "digest"), [(LARGE, "sha256 is"), ("_METADATA", "git hash is")])
def test_changed_bytes_are_found_and_downloaded_again(hub: Hub, fetch: Fetch, name: str, digest: str) -> None:
    hub.corrupt = {name}
    fails(fetch, name, digest, "hint: the file was deleted; rerun")
    hub.corrupt = set()
    assert is_complete(fetch(), hub)


def test_missing_token(fetch: Fetch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    fails(fetch, "no Hugging Face token", "/settings/tokens", "hf auth login", "HF_TOKEN")


def test_wrong_token(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    fails(fetch, "answers 401", "the token is not valid", "hf auth login")


def test_terms_not_accepted_on_the_hub(hub: Hub, fetch: Fetch) -> None:
    hub.accepted = False
    fails(fetch, "not in the authorized list", f"open {hub.url}/google/{NAME} and accept the terms")


def test_repository_that_does_not_exist(hub: Hub, fetch: Fetch) -> None:
    hub.repositories.clear()
    fails(fetch, "answers 404", "no such repository", "use a newer vepscore")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_hub(hub: Hub, fetch: Fetch, status: int) -> None:
    hub.status = status
    fails(fetch, f"answers {status}", "rerun later")


def test_page_of_a_proxy_instead_of_the_hub(hub: Hub, fetch: Fetch) -> None:
    hub.page = "<html>Log in to the campus network"
    fails(fetch, "not that of a Hugging Face hub", "a login page or a proxy")


def test_files_outside_the_folder_are_refused(hub: Hub, fetch: Fetch) -> None:
    hub.strange_names = ["../outside"]
    fails(fetch, "invalid list of files", "../outside")


def test_no_server(hub: Hub, fetch: Fetch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        hub.url = f"http://127.0.0.1:{free.getsockname()[1]}"
    fails(fetch, "127.0.0.1 cannot be reached", "refused", "the download resumes")


def test_unknown_host(hub: Hub, fetch: Fetch) -> None:
    hub.url = "http://hub.invalid"
    fails(fetch, "hub.invalid cannot be reached")


def test_silent_server(hub: Hub, fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_ETAG_TIMEOUT", 0.3)
    hub.silent = True
    fails(fetch, "127.0.0.1 cannot be reached", "timed out")


def test_full_disk(fetch: Fetch, tmp_path: Path) -> None:
    partial = tmp_path / "cache" / COMMIT / f"{LARGE}.partial"
    partial.parent.mkdir(parents=True)
    partial.symlink_to("/dev/full")
    fails(fetch, "cannot be written: No space left on device", "resumes where it stopped")


def test_disk_that_is_too_small(hub: Hub, fetch: Fetch) -> None:
    hub.sizes = {LARGE: 10**18}
    fails(fetch, "1000000000.0 GB needed", "VEPSCORE_CACHE")
    assert hub.transfers() == []


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(CheckpointError, match="cannot be written"), locked(tmp_path / "cache" / NAME):
        pass


def test_second_process_is_kept_out(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    with (
        locked(folder),
        pytest.raises(CheckpointError, match="another process is downloading"),
        locked(folder),
    ):
        pass
    with locked(folder):
        pass


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_variable_forbids_the_network(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    check_online()
    monkeypatch.setenv(name, "1")
    with pytest.raises(CheckpointError, match=f"{name} is set, so nothing is downloaded"):
        check_online()


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Serve the official metadata."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    for remote in METADATA_FILES.values():
        zipped = need(f"parity/{remote.name}.gz").read_bytes()
        (folder / remote.name).write_bytes(gzip.decompress(zipped))
    set_up_client(monkeypatch)
    with serving(Hub(repositories={}, plain=folder)) as hub:
        monkeypatch.setenv(METADATA_VARIABLE, f"{hub.url}/plain/")
        yield hub


def test_metadata_of_both_organisms_from_a_mirror(mirror: Hub, tmp_path: Path) -> None:
    paths = fetch_metadata(tmp_path / "metadata")
    assert list(paths) == ["human", "mouse"]
    for path in paths.values():
        assert path.read_bytes() == (tmp_path / "mirror" / path.name).read_bytes()


def test_other_metadata_are_refused(mirror: Hub, tmp_path: Path) -> None:
    mirror.corrupt = {METADATA_FILES["mouse"].name}
    fails(lambda: fetch_metadata(tmp_path / "metadata"), "MUS_MUSCULUS", "sha256 is", "--metadata")


def test_missing_metadata(mirror: Hub, tmp_path: Path) -> None:
    for path in (tmp_path / "mirror").iterdir():
        path.unlink()
    fails(lambda: fetch_metadata(tmp_path / "metadata"), "answers 404", METADATA_VARIABLE)


def test_mirror_that_is_not_a_web_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(METADATA_VARIABLE, "/data/mirror")
    fails(lambda: fetch_metadata(tmp_path / "metadata"), "/data/mirror", "'http://'", METADATA_VARIABLE)


def test_signature_of_an_address_is_not_shown() -> None:
    error = refused("https://cdn.test/file?signature=secret", 403, "Forbidden")
    assert "https://cdn.test/file" in str(error) and "secret" not in str(error)


def test_silence_in_a_transfer_is_noticed(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DOWNLOAD_TIMEOUT", 0.1)
    hub.silent = True
    with pytest.raises(CheckpointError, match=r"the transfer broke off\n.*timed out"), reaching(hub.url):
        download(RemoteFile(name="_METADATA", size=2, digest=""), tmp_path, f"{hub.url}/plain/_METADATA")


def test_hint_for_a_certificate_that_is_not_trusted() -> None:
    error = unreachable("https://hub.test/file", ssl.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"))
    assert "hub.test" in str(error) and "SSL_CERT_FILE" in str(error)
