"""`vepscore weights import`; an imported checkpoint needs no network."""

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import MAIN, ROOT, vepscore
from tests.cli.scoring import Bench
from tests.cli.terminal import read_until
from tests.official_checkpoint import METADATA_FILES
from vepscore.cli.weights_import import metadata_by_organism
from vepscore.errors import UsageError
from vepscore.model.checkpoint import read_config
from vepscore.model.track_table import read_organisms

# Says at exit what of the network's libraries was imported.
WATCHED = (
    "import atexit, sys; atexit.register(lambda: print([name for name in "
    f"('huggingface_hub', 'kagglehub', 'requests', 'urllib3') if name in sys.modules], file=sys.stderr)); {MAIN}"
)


def test_import_prints_a_summary(official: Path, metadata_options: list[str], tmp_path: Path) -> None:
    output = tmp_path / "new" / "mine"
    command = ("weights", "import", str(official), *metadata_options, "-o", str(output))
    done = vepscore(*command, "--dtype", "bfloat16")
    assert (done.returncode, done.stderr) == (0, "")
    said = dict(line.split(":", 1) for line in done.stdout.splitlines())
    size = sum(path.stat().st_size for path in output.iterdir())
    assert {key: value.strip() for key, value in said.items() if key not in ("digest", "terms")} == {
        "checkpoint": "mine",
        "directory": str(output),
        "size": f"{size / 1e6:,.1f} MB",
        "organisms": "human, mouse",
        "license": "AlphaGenome model terms (non-commercial)",
    }
    assert "not validated or approved for clinical use" in said["terms"]
    config = read_config(output)
    assert (config.name, config.training["dtype"]) == ("mine", "bfloat16")
    again = vepscore(*command)
    assert (again.returncode, again.stdout) == (2, "")
    assert f"{output} exists already and is not overwritten" in again.stderr


@pytest.mark.slow
@pytest.mark.ci
def test_imported_checkpoint_of_one_organism_scores_without_the_network(
    official: Path, metadata: dict[str, Path], tmp_path: Path, bench: Bench
) -> None:
    other = shutil.copy(metadata["human"], tmp_path / "tracks.textproto")
    output = tmp_path / "mine"
    done = vepscore(
        *("weights", "import", str(official), "--metadata", f"human:{other}"),
        *("--name", "of a person", "-o", str(output)),
    )
    assert done.returncode == 0, done.stderr
    assert "organisms:  human\n" in done.stdout and "checkpoint: of a person\n" in done.stdout
    assert read_organisms(output / "tracks.parquet") == ["human"]
    (tmp_path / "in.vcf").write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
    score = ("score", str(tmp_path / "in.vcf"), "-r", str(bench.genome.fasta), "-g", str(bench.genome.gtf))
    offline = dict(bench.environment) | {"HF_HUB_OFFLINE": "1", "VEPSCORE_WEIGHTS": str(tmp_path)}
    for command in (
        (*score, "-c", "mine", "--window", "16kb"),
        ("weights", "list"),
        ("weights", "info", "mine"),
        ("weights", "verify", "mine"),
    ):
        done = vepscore(*command, program=WATCHED, environment=offline)
        assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "[]"), done.stderr
        if "info" in command:
            (mouse,) = (line for line in done.stdout.splitlines() if line.startswith("tracks, mouse:"))
            assert mouse.endswith(" none: imported without metadata")


def test_failed_import_leaves_nothing(official: Path, metadata: dict[str, Path], tmp_path: Path) -> None:
    half = tmp_path / "half"
    shutil.copytree(official, half)
    shutil.rmtree(half / "ocdbt.process_0")
    done = vepscore(
        "weights", "import", str(half), "--metadata", str(metadata["human"]), "-o", str(tmp_path / "mine")
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {half}: ")
    assert [path.name for path in tmp_path.iterdir()] == ["half"]


def test_organism_comes_from_the_file_name_or_a_prefix(metadata: dict[str, Path], tmp_path: Path) -> None:
    human, mouse, plain = metadata["human"], metadata["mouse"], tmp_path / "tracks.textproto.gz"
    plain.touch()
    assert metadata_by_organism([str(mouse), str(human)]) == {"mouse": mouse, "human": human}
    assert metadata_by_organism([f"mouse:{plain}"]) == {"mouse": plain}
    assert metadata_by_organism([f"human:{mouse}"]) == {"human": mouse}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["tracks.textproto"], "does not state the organism, human or mouse\n  hint: --metadata human:"),
        (["human:tracks.textproto", METADATA_FILES["human"]], "is of the same organism, human"),
        (["mouse:absent"], "absent: no such file"),
    ],
)
def test_unclear_metadata_are_wrong_options(
    values: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("tracks.textproto", METADATA_FILES["human"]):
        (tmp_path / name).touch()
    with pytest.raises(UsageError) as raised:
        metadata_by_organism(values)
    assert message in str(raised.value)


def test_wrong_options_are_found_before_anything_is_read(
    official: Path, metadata: dict[str, Path], tmp_path: Path
) -> None:
    human = str(metadata["human"])
    (tmp_path / "file").touch()
    for arguments, message in [
        ((str(tmp_path / "absent"), "--metadata", human, "-o", str(tmp_path / "mine")), "no such directory"),
        ((str(official), "--metadata", human, "-o", str(tmp_path / "file")), "exists already"),
        ((str(official), "-o", str(tmp_path / "mine")), "--metadata"),
        ((str(official), "--metadata", human), "--output"),
    ]:
        done = vepscore("weights", "import", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert message in done.stderr


def test_help_imports_no_library_of_the_network() -> None:
    done = vepscore("weights", "fetch", "--help", program=WATCHED)
    assert (done.returncode, done.stderr) == (0, "[]\n")


def test_progress_is_shown_on_a_terminal_only() -> None:
    program = (
        "from vepscore.cli.progress import observing_bytes\n"
        "with observing_bytes('importing') as observe:\n    observe(1_000_000, 2_000_000)"
    )
    assert vepscore(program=program).stderr == ""
    main, terminal = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stderr=terminal):
        os.close(terminal)
        shown = read_until(main, None)
    os.close(main)
    assert b"importing" in shown and b"1.0/2.0" in shown
