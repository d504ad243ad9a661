"""Files at public addresses, on a server on this machine."""

import hashlib
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.hub_server import Hub, serving
from vepscore.errors import CheckpointError
from vepscore.model.published_weights import PublicFile, PublicWeights

BYTES, CUT = 300_000, 200_000
RETRIES = 5  # of huggingface_hub, without a byte between them


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    plain = tmp_path / "plain"
    plain.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.pt", "b.pt"):
        (plain / name).write_bytes(rng.bytes(BYTES))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(
        "huggingface_hub.file_download.time", types.SimpleNamespace(sleep=lambda seconds: None)
    )
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 50_000)
    with serving(Hub(repositories={}, plain=plain)) as hub:
        yield hub


def weights_of(hub: Hub, *names: str) -> PublicWeights:
    files = []
    for name in names:
        assert hub.plain is not None
        sha256 = hashlib.sha256((hub.plain / name).read_bytes()).hexdigest()
        files.append(PublicFile(url=f"{hub.url}/plain/{name}", size=BYTES, sha256=sha256))
    return PublicWeights(name="ab", license="MIT", terms="", files=tuple(files))


def fetch(weights: PublicWeights, folder: Path) -> tuple[Path, list[tuple[int, int]]]:
    """Return the source of an import, and the progress that was observed."""
    progress: list[tuple[int, int]] = []
    source = weights.download(
        folder, site=weights.sites[0], observe=lambda done, total: progress.append((done, total))
    )
    return source, progress


def test_several_files_are_a_folder(hub: Hub, tmp_path: Path) -> None:
    weights = weights_of(hub, "a.pt", "b.pt")
    source, progress = fetch(weights, tmp_path / "folder")
    assert source == tmp_path / "folder"
    assert hub.plain is not None
    assert all((source / name).read_bytes() == (hub.plain / name).read_bytes() for name in ("a.pt", "b.pt"))
    assert progress[-1] == (2 * BYTES, 2 * BYTES) and weights.size == 2 * BYTES
    assert progress == sorted(progress)


def test_one_file_is_the_source(hub: Hub, tmp_path: Path) -> None:
    source, _ = fetch(weights_of(hub, "a.pt"), tmp_path / "folder")
    assert source == tmp_path / "folder" / "a.pt"


def test_broken_download_is_resumed(hub: Hub, tmp_path: Path) -> None:
    weights = weights_of(hub, "a.pt", "b.pt")
    hub.cut_after = [BYTES, CUT, *[0] * RETRIES]
    with pytest.raises(CheckpointError, match="the transfer broke off") as caught:
        fetch(weights, tmp_path / "folder")
    assert "the download resumes where it stopped" in str(caught.value)
    hub.requests.clear()
    source, progress = fetch(weights, tmp_path / "folder")
    assert hub.transfers() == [f"bytes={CUT}-"]
    assert progress[:2] == [(BYTES, 2 * BYTES), (BYTES + CUT, 2 * BYTES)]
    assert hub.plain is not None
    assert (source / "b.pt").read_bytes() == (hub.plain / "b.pt").read_bytes()
