"""Official checkpoints from a hub: a server on this machine that behaves like it."""

import gzip
import os
import socket
import ssl
import subprocess
import sys

import numpy as np
import pytest

from tests.hub_server import COMMIT, TOKEN, Hub, serving
from tests.paths import need
from vepscore.errors import CheckpointError
from vepscore.model.official import downloads
from vepscore.model.official.downloads import RemoteFile, download, locked, make_request
from vepscore.model.official.hub import (
    METADATA_FILES,
    METADATA_VARIABLE,
    check_online,
    fetch_from_huggingface,
    fetch_metadata,
)

NAME = "alphagenome-fold-1"
LARGE, LARGE_BYTES = "d/large", 3_000_000
CUT = 2_000_000


@pytest.fixture
def hub(tmp_path, monkeypatch):
    repository = tmp_path / "repository"
    (repository / "d").mkdir(parents=True)
    (repository / "_METADATA").write_text("{}")
    (repository / "d" / "small").write_bytes(b"small")
    (repository / LARGE).write_bytes(np.random.default_rng(0).bytes(LARGE_BYTES))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(downloads, "_PAUSE_S", 0.0)
    with serving(Hub(repositories={f"google/{NAME}": repository})) as hub:
        yield hub


@pytest.fixture
def fetch(hub, tmp_path):
    return lambda **options: fetch_from_huggingface(NAME, tmp_path / "cache", endpoint=hub.url, **options)


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def fails(fetch, *expected):
    with pytest.raises(CheckpointError) as raised:
        fetch()
    for text in expected:
        assert text in str(raised.value)


def test_every_file_arrives_and_no_other(hub, fetch):
    folder = fetch()
    assert folder.name == COMMIT
    assert contents(folder) == contents(hub.repositories[f"google/{NAME}"])


def test_token_goes_to_the_hub_only(hub, fetch):
    fetch()
    asked = {path.split("/")[1]: headers for _, path, headers in hub.requests}
    assert asked["api"]["Authorization"] == asked["google"]["Authorization"] == f"Bearer {TOKEN}"
    assert "Authorization" not in asked["cdn"]


def test_progress_ends_at_the_total(fetch):
    seen = []
    fetch(observe=lambda done, total: seen.append((done, total)))
    total = LARGE_BYTES + len("small") + len("{}")
    assert seen[-1] == (total, total)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_second_call_downloads_nothing(hub, fetch):
    fetch()
    hub.requests.clear()
    fetch()
    assert {method for method, path, _ in hub.requests if not path.startswith("/api/models/")} == {"HEAD"}


def test_broken_transfer_is_continued_in_the_same_call(hub, fetch):
    hub.cut_after = [CUT]
    folder = fetch()
    assert hub.transfers() == ["", f"bytes={CUT}-"]
    assert contents(folder) == contents(hub.repositories[f"google/{NAME}"])


def test_broken_transfer_is_continued_by_the_next_call(hub, fetch):
    hub.cut_after = [CUT, 0, 0, 0]
    fails(fetch, f"after {CUT:,} of {LARGE_BYTES:,} bytes", "call again, and it goes on where it stopped")
    hub.requests.clear()
    folder = fetch()
    assert hub.transfers() == [f"bytes={CUT}-"]
    assert contents(folder) == contents(hub.repositories[f"google/{NAME}"])


def test_server_without_ranges_is_asked_from_the_start(hub, fetch):
    hub.cut_after, hub.ranges = [CUT], False
    assert contents(fetch()) == contents(hub.repositories[f"google/{NAME}"])


def test_left_over_that_is_too_long_is_thrown_away(hub, fetch, tmp_path):
    partial = tmp_path / "cache" / COMMIT / f"{LARGE}.partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(bytes(LARGE_BYTES + 1))
    assert contents(fetch()) == contents(hub.repositories[f"google/{NAME}"])


@pytest.mark.parametrize(("name", "digest"), [(LARGE, "sha256 is"), ("_METADATA", "git's hash is")])
def test_changed_bytes_are_found_and_fetched_anew(hub, fetch, name, digest):
    hub.corrupt = {name}
    fails(fetch, name, digest, "hint: the file was discarded; call again")
    hub.corrupt = set()
    assert contents(fetch()) == contents(hub.repositories[f"google/{NAME}"])


def test_missing_token(fetch, monkeypatch, tmp_path):
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    fails(fetch, "no Hugging Face token", "/settings/tokens", "hf auth login", "HF_TOKEN")


def test_wrong_token(fetch, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    fails(fetch, "answers 401", "the token is not valid", "hf auth login")


def test_terms_not_accepted_on_the_hub(hub, fetch):
    hub.accepted = False
    fails(fetch, "not in the authorized list", f"open {hub.url}/google/{NAME} and accept the terms")


def test_repository_that_is_gone(hub, fetch):
    hub.repositories.clear()
    fails(fetch, "answers 404", "no such repository", "use a newer vepscore")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_hub(hub, fetch, status):
    hub.status = status
    fails(fetch, f"answers {status}", "call again later")


def test_page_of_a_proxy_in_the_place_of_the_hub(hub, fetch):
    hub.page = "<html>Log in to the campus network"
    fails(fetch, "not that of a Hugging Face hub", "a login page or a proxy")


def test_files_outside_of_the_folder_are_refused(hub, fetch, tmp_path):
    hub.strange_names = ["../outside"]
    fails(fetch, "not a listing of files", "../outside")


def test_no_server(fetch, hub):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        hub.url = f"http://127.0.0.1:{free.getsockname()[1]}"
    fails(fetch, "127.0.0.1 cannot be reached", "refused", "nothing is lost", "on the login node")


def test_unknown_host(fetch, hub):
    hub.url = "http://hub.invalid"
    fails(fetch, "hub.invalid cannot be reached")


def test_silent_server(hub, fetch, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_ETAG_TIMEOUT", 0.3)
    hub.silent = True
    fails(fetch, "127.0.0.1 cannot be reached", "timed out")


def test_full_disk(fetch, tmp_path, hub):
    partial = tmp_path / "cache" / COMMIT / f"{LARGE}.partial"
    partial.parent.mkdir(parents=True)
    partial.symlink_to("/dev/full")
    fails(fetch, "cannot be written: No space left on device", "goes on where it stopped")


def test_disk_that_will_not_do(hub, fetch):
    hub.sizes = {LARGE: 10**18}
    fails(fetch, "1000000000.0 GB are to come", "VEPSCORE_CACHE")
    assert hub.transfers() == []


def test_folder_that_cannot_be_written(fetch, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(CheckpointError, match="cannot be written"), locked(tmp_path / "cache" / NAME):
        pass


def test_second_process_is_kept_out(tmp_path):
    folder = tmp_path / "new" / "folder"
    with (
        locked(folder),
        pytest.raises(CheckpointError, match="another process downloads here"),
        locked(folder),
    ):
        pass
    with locked(folder):
        pass


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_variable_forbids_the_network(monkeypatch, name):
    check_online()
    monkeypatch.setenv(name, "1")
    with pytest.raises(CheckpointError, match=f"{name} is set, so nothing is fetched"):
        check_online()


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A folder with the official metadata, and a server's requests for it."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    for remote in METADATA_FILES.values():
        zipped = need(f"parity/{remote.name}.gz").read_bytes()
        (folder / remote.name).write_bytes(gzip.decompress(zipped))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(downloads, "_PAUSE_S", 0.0)
    with serving(Hub(repositories={}, plain=folder)) as hub:
        monkeypatch.setenv(METADATA_VARIABLE, f"{hub.url}/plain/")
        yield hub


def test_metadata_of_both_organisms_from_a_mirror(mirror, tmp_path):
    paths = fetch_metadata(tmp_path / "metadata")
    assert list(paths) == ["human", "mouse"]
    for path in paths.values():
        assert path.read_bytes() == (mirror.plain / path.name).read_bytes()


def test_other_metadata_are_refused(mirror, tmp_path):
    mirror.corrupt = {METADATA_FILES["mouse"].name}
    fails(lambda: fetch_metadata(tmp_path / "metadata"), "MUS_MUSCULUS", "sha256 is", "--metadata")


def test_metadata_that_are_not_there(mirror, tmp_path):
    for path in mirror.plain.iterdir():
        path.unlink()
    fails(lambda: fetch_metadata(tmp_path / "metadata"), "answers 404", METADATA_VARIABLE)


def test_mirror_that_is_no_web_address(monkeypatch, tmp_path):
    monkeypatch.setenv(METADATA_VARIABLE, "/data/mirror")
    fails(lambda: fetch_metadata(tmp_path / "metadata"), "not an address of the web", METADATA_VARIABLE)


def test_signature_of_an_address_is_not_shown():
    error = downloads.refused("https://cdn.test/file?signature=secret", 403, "Forbidden")
    assert "https://cdn.test/file" in str(error) and "secret" not in str(error)


def test_file_of_unknown_size_and_hash_is_taken_as_it_comes(hub, tmp_path):
    hub.plain = hub.repositories[f"google/{NAME}"]
    remote = RemoteFile(name="d/small")
    path = download(remote, tmp_path / "plain", lambda: make_request(f"{hub.url}/plain/{remote.name}"))
    assert path.read_bytes() == b"small"


def test_server_in_trouble_is_asked_again(hub, tmp_path):
    hub.status = 503
    remote = RemoteFile(name="_METADATA")
    with pytest.raises(CheckpointError, match="answers 503"):
        download(remote, tmp_path / "plain", lambda: make_request(f"{hub.url}/plain/{remote.name}"))
    assert len(hub.requests) == 3


def test_silence_in_a_transfer_is_noticed(hub, tmp_path):
    hub.silent = True
    remote = RemoteFile(name="_METADATA")
    with pytest.raises(CheckpointError, match="cannot be reached, or broke off\n  timed out"):
        download(remote, tmp_path, lambda: make_request(f"{hub.url}/plain/{remote.name}"), timeout_s=0.2)


def test_python_without_certificates_uses_those_of_certifi():
    program = (
        "from vepscore.model.official.downloads import _tls_context\n"
        "print(_tls_context().cert_store_stats()['x509_ca'])"
    )
    absent = {name: "/nonexistent" for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")}
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | absent, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) > 0


def test_certificate_that_is_not_trusted_says_what_to_set():
    error = downloads.unreachable("https://hub.test/file", ssl.SSLCertVerificationError("self-signed"))
    assert "hub.test" in str(error) and "SSL_CERT_FILE" in str(error)
