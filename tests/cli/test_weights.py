"""`vepscore weights` and the registry under it."""

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.commands import vepscore
from vepscore.errors import CheckpointError
from vepscore.genome.alleles import AlleleKind
from vepscore.io.quantiles import list_quantiles, read_quantiles
from vepscore.model import registry
from vepscore.model.checkpoint import checkpoint_digest, read_config


@pytest.fixture
def user_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "user"
    folder.mkdir()
    monkeypatch.setenv("VEPSCORE_WEIGHTS", str(folder))
    return folder


def add_checkpoint(folder: Path, name: str) -> Path:
    (folder / name).mkdir(parents=True)
    (folder / name / "config.json").write_text("{}")
    return folder / name


def test_embedded_checkpoint_is_the_default(user_weights: Path) -> None:
    path = registry.embedded_checkpoint()
    assert path.name == "vepscore-small"
    assert registry.resolve_checkpoint(None) == path
    assert registry.resolve_checkpoint("vepscore-small") == path


def test_quantiles_of_the_embedded_checkpoint_fit_it_and_its_defaults() -> None:
    path = registry.embedded_checkpoint()
    config = read_config(path)
    (file,) = list_quantiles(path)
    facts = read_quantiles(file).header
    assert facts["vepscoreCheckpoint"] == f"{config.name} sha256:{checkpoint_digest(path)}"
    assert facts["vepscoreWindow"] == f"{config.window_bp} bp"
    assert facts["vepscoreIndelAnchor"] == config.indel_anchor
    assert set(config.scorers) <= set(facts["vepscoreScorers"].split(","))


@pytest.mark.parametrize("kind", AlleleKind)
def test_quantiles_of_the_embedded_checkpoint_rank_each_kind_among_a_thousand_or_more(
    kind: AlleleKind,
) -> None:
    (file,) = list_quantiles(registry.embedded_checkpoint())
    largest = read_quantiles(file).kinds[kind].rank_values({"VS_SPLICE": 1e9})
    assert round(largest["VS_SPLICE_Q"], 4) >= 1 - 0.5 / 1000


def test_installed_weights_come_before_those_of_the_source_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_PACKAGE", tmp_path / "vepscore")
    assert registry.weights_dir() == tmp_path / "weights"
    (tmp_path / "vepscore" / "weights").mkdir(parents=True)
    assert registry.weights_dir() == tmp_path / "vepscore" / "weights"


def test_missing_embedded_checkpoint_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_PACKAGE", tmp_path / "vepscore")
    with pytest.raises(CheckpointError, match="hint: reinstall vepscore"):
        registry.resolve_checkpoint(None)


def test_users_checkpoints_are_listed_after_the_embedded_one(user_weights: Path) -> None:
    add_checkpoint(user_weights, "b")
    add_checkpoint(user_weights, "a")
    (user_weights / "no-checkpoint").mkdir()
    assert registry.list_checkpoints() == [
        registry.embedded_checkpoint(),
        user_weights / "a",
        user_weights / "b",
    ]


def test_absent_user_folder_is_an_empty_one(user_weights: Path) -> None:
    user_weights.rmdir()
    assert [path.name for path in registry.list_checkpoints()] == ["vepscore-small"]


def test_user_folder_is_in_the_data_directory_unless_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VEPSCORE_WEIGHTS", raising=False)
    monkeypatch.setattr(registry.platformdirs, "user_data_dir", lambda name: f"/data/{name}")
    assert str(registry.user_weights_dir()) == "/data/vepscore/weights"


def test_name_comes_before_directory_of_the_same_name(
    user_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = add_checkpoint(user_weights, "mine")
    add_checkpoint(tmp_path / "here", "mine")
    monkeypatch.chdir(tmp_path / "here")
    assert registry.resolve_checkpoint("mine") == named
    assert registry.resolve_checkpoint("./mine").resolve() == tmp_path / "here" / "mine"


def test_any_directory_is_taken_as_it_is(tmp_path: Path) -> None:
    assert registry.resolve_checkpoint(str(tmp_path)) == tmp_path


def test_unknown_checkpoint_lists_the_available_ones(user_weights: Path) -> None:
    add_checkpoint(user_weights, "mine")
    with pytest.raises(CheckpointError) as raised:
        registry.resolve_checkpoint("yours")
    message = str(raised.value)
    assert "'yours' is neither" in message
    assert "vepscore-small" in message and str(user_weights / "mine") in message


def test_file_is_not_a_checkpoint(user_weights: Path) -> None:
    path = add_checkpoint(user_weights, "mine") / "config.json"
    with pytest.raises(CheckpointError, match="is a file"):
        registry.resolve_checkpoint(str(path))


def test_list_is_plain_and_imports_nothing_heavy(user_weights: Path) -> None:
    add_checkpoint(user_weights, "mine")
    add_checkpoint(user_weights, "vepscore-small")
    program = (
        "import atexit, sys; from vepscore.cli.main import main;"
        "atexit.register(lambda: print('jax' in sys.modules, file=sys.stderr)); main()"
    )
    done = vepscore("weights", "list", program=program)
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == "False"
    outputs = "CAGE,DNASE,RNA_SEQ,SPLICE_SITES,SPLICE_SITE_USAGE,SPLICE_JUNCTIONS,CONTACT_MAPS"
    unknown = ["", "", "", ""]  # an empty config.json
    assert [line.split("\t") for line in done.stdout.splitlines()] == [
        [
            *("vepscore-small", str(registry.embedded_checkpoint()), "default"),
            *("compact", "16,384 bp", outputs, "Apache-2.0"),
        ],
        ["mine", str(user_weights / "mine"), "", *unknown],
        [
            *("vepscore-small", str(user_weights / "vepscore-small")),
            *("select it by directory: the name is taken", *unknown),
        ],
    ]


def test_list_ends_with_how_to_get_more(user_weights: Path) -> None:
    done = vepscore("weights", "list")
    (line,) = done.stderr.splitlines()
    assert "vepscore weights fetch" in line
    assert vepscore("-q", "weights", "list").stderr == ""


def test_info_describes_the_embedded_checkpoint() -> None:
    done = vepscore("weights", "info")
    assert (done.returncode, done.stderr) == (0, "")
    config = json.loads((registry.embedded_checkpoint() / "config.json").read_text())
    facts = dict(line.split(":", 1) for line in done.stdout.splitlines() if line[0] != " ")
    assert facts["checkpoint"].strip() == "vepscore-small"
    assert facts["parameters"].strip() == f"{config['training']['parameters']:,}"
    assert facts["default window"].strip() == f"{config['window_bp']:,} bp"
    assert facts["license"].strip() == config["license"]
    assert "SPLICE_SITES 4\n" in done.stdout
    assert len(facts["digest"].strip()) == len("sha256:") + 64


def test_info_shows_the_terms(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(registry.embedded_checkpoint(), copy)
    config = json.loads((copy / "config.json").read_text())
    config |= {"terms_notice": "Not for sale.\nNot for hire.", "training": {}}
    (copy / "config.json").write_text(json.dumps(config))
    done = vepscore("weights", "info", str(copy))
    assert done.returncode == 0
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["terms:", "Not", "for", "sale."] in lines and ["Not", "for", "hire."] in lines
    assert ["training:", "not", "stated"] in lines


def test_verify_passes_the_embedded_checkpoint_and_names_damaged_files(tmp_path: Path) -> None:
    assert vepscore("weights", "verify").returncode == 0
    copy = tmp_path / "copy"
    shutil.copytree(registry.embedded_checkpoint(), copy)
    with (copy / "tracks.parquet").open("ab") as file:
        file.write(b"!")
    done = vepscore("weights", "verify", str(copy))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {copy}: damaged\n  tracks.parquet: sha256 is ")


@pytest.mark.parametrize("command", ["info", "verify"])
def test_unknown_name_is_a_failure(command: str) -> None:
    done = vepscore("weights", command, "no-such-checkpoint")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: 'no-such-checkpoint' is neither")
