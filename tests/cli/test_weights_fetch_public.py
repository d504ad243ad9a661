"""`vepscore weights fetch` of files at public addresses, which a server on this machine has."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.cli.commands import install_plugin, vepscore
from tests.hub_server import Hub, serving
from tests.networks.dilated.openspliceai_files import openspliceai_arrays
from tests.networks.torch_files import torch_file
from vepscore.model.checkpoint import checkpoint_digest

NAME, LICENSE, TERMS = "tiny", "CC-BY-NC-4.0", "Tiny networks: for non-commercial use only."
NOTICE = "OpenSpliceAI (Chao et al.,"  # of the files, in the checkpoint
FILES = ("model_80nt_rs10.pt", "model_80nt_rs11.pt")
FAMILY = """
from vepscore.model.published_weights import PublicFile, PublicWeights
from vepscore.networks.dilated.dilated_families import SpliceAIFamily

class Mirrored(SpliceAIFamily):
    name = "mirrored"
    weights = (PublicWeights(name={name!r}, license={license!r}, terms={terms!r}, files=({files})),)

FAMILY = Mirrored()
"""

Fetch = Callable[..., CompletedProcess[str]]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """Serve two files of OpenSpliceAI's smallest network."""
    published = tmp_path / "published"
    published.mkdir()
    for seed, name in enumerate(FILES):
        (published / name).write_bytes(torch_file(openspliceai_arrays(seed)))
    with serving(Hub(repositories={}, plain=published)) as hub:
        yield hub


@pytest.fixture
def environment(hub: Hub, tmp_path: Path) -> dict[str, str]:
    """Install a family whose published weights are the files of the server."""
    site = tmp_path / "site"
    site.mkdir()
    assert hub.plain is not None
    files = [describe(hub.plain / name, f"{hub.url}/plain/{name}") for name in FILES]
    family = FAMILY.format(name=NAME, license=LICENSE, terms=TERMS, files=", ".join(files))
    (site / "mirrored_networks.py").write_text(family)
    install_plugin(
        site, "mirrored-networks", {"mirrored": "mirrored_networks:FAMILY"}, group="vepscore.networks"
    )
    return {
        "PYTHONPATH": str(site),
        "HF_HUB_OFFLINE": "0",
        "NO_PROXY": "*",
        "VEPSCORE_CACHE": str(tmp_path / "cache"),
        "VEPSCORE_WEIGHTS": str(tmp_path / "weights"),
    }


def describe(path: Path, url: str) -> str:
    """Return Python code that describes a file."""
    contents = path.read_bytes()
    sha256 = hashlib.sha256(contents).hexdigest()
    return f"PublicFile(url={url!r}, size={len(contents)}, sha256={sha256!r})"


@pytest.fixture
def fetch(environment: dict[str, str]) -> Fetch:
    """Run the command; `changed` are environment variables."""

    def run(*arguments: str, **changed: str) -> CompletedProcess[str]:
        return vepscore("weights", "fetch", *arguments, environment=environment | changed)

    return run


def downloads(environment: dict[str, str]) -> list[str]:
    folder = os.path.join(environment["VEPSCORE_CACHE"], "downloads")
    return sorted(name for _, _, names in os.walk(folder) for name in names if name != ".lock")


def test_files_are_downloaded_and_imported(
    fetch: Fetch, environment: dict[str, str], hub: Hub, tmp_path: Path
) -> None:
    done = fetch(NAME)
    assert done.returncode == 0, done.stderr
    license_shown = done.stderr.index(f"{NAME}: license {LICENSE}\n{TERMS}\n")
    assert license_shown < done.stderr.index(f"downloading {NAME} from 127.0.0.1")
    output = tmp_path / "weights" / NAME
    shown = dict(line.split(":", 1) for line in done.stdout.splitlines())
    assert shown["directory"].strip() == str(output)
    assert shown["license"].strip() == "GPL-3.0-only" and NOTICE in shown["terms"]
    assert NOTICE in json.loads((output / "config.json").read_text())["terms_notice"]
    assert downloads(environment) == []
    again = tmp_path / "again" / NAME
    imported = vepscore(
        *("weights", "import", "mirrored", str(hub.plain), "-o", str(again)), environment=environment
    )
    assert imported.returncode == 0, imported.stderr
    assert checkpoint_digest(again) == checkpoint_digest(output)


def test_other_content_is_refused(
    fetch: Fetch, environment: dict[str, str], hub: Hub, tmp_path: Path
) -> None:
    hub.corrupt = {FILES[1]}
    done = fetch(NAME)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{FILES[1]}: does not match its hash" in done.stderr and "sha256 is" in done.stderr
    assert "hint: the file was deleted; rerun" in done.stderr and "use a newer vepscore" in done.stderr
    assert not (tmp_path / "weights").exists()
    assert downloads(environment) == [FILES[0]]
    hub.corrupt = set()
    hub.requests.clear()
    assert fetch(NAME).returncode == 0
    assert [path for _, path, _ in hub.requests] == [f"/plain/{FILES[1]}"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--dtype", "bfloat16"], "cannot be stored"),
        (["--from", "kaggle"], "expected one of 127.0.0.1"),
    ],
)
def test_invalid_options_are_refused_before_the_download(
    fetch: Fetch, hub: Hub, options: list[str], message: str
) -> None:
    done = fetch(NAME, *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert hub.requests == []


def test_list_names_networks_of_all_families(
    fetch: Fetch, environment: dict[str, str], hub: Hub, tmp_path: Path
) -> None:
    """A family that cannot be imported is skipped."""
    install_plugin(
        tmp_path / "site", "broken", {"broken": "no_such_module:FAMILY"}, group="vepscore.networks"
    )
    done = fetch()
    assert done.returncode == 0
    assert done.stderr.startswith("warning: network broken of broken 1.0")
    rows = {row[0]: row[1:] for row in (line.split("\t") for line in done.stdout.splitlines())}
    assert rows["spliceai"] == ["spliceai", "16.7", "files.pythonhosted.org", "CC-BY-NC-4.0"]
    assert rows["alphagenome-fold-0"][2] == "huggingface,kaggle"
    assert rows[NAME][0] == "mirrored" and rows[NAME][3] == LICENSE
    assert {"openspliceai", "cispliceai", "pangolin", "spliceformer"} <= rows.keys()
    assert hub.requests == []
