"""`vepscore predict` as users run it: the files, the table that names them, and what it says when it cannot."""

import os
import pathlib
import subprocess

import pyBigWig
import pytest

from tests.builders import WINDOW_BP
from tests.cli.commands import vepscore
from tests.cli.scoring import SCRIPT, Bench

MAIN_WITHOUT = "import sys; sys.modules['{module}'] = None\nfrom vepscore.cli.main import main; main()"
REGION = "chr1:15,001-15,200"


def predict(
    bench: Bench, *arguments: str | pathlib.Path, cwd: pathlib.Path
) -> subprocess.CompletedProcess[str]:
    options = ["-r", bench.genome.fasta, "-c", bench.checkpoint, "--window", WINDOW_BP]
    command = [str(word) for word in (SCRIPT, "predict", *arguments, *options)]
    return subprocess.run(
        command, cwd=cwd, env=os.environ | bench.environment, capture_output=True, text=True, check=False
    )


def test_table_names_the_files(bench: Bench, tmp_path: pathlib.Path) -> None:
    done = predict(bench, REGION, "--output", "ATAC", "--output", "CONTACT_MAPS", "-o", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    names = {row[0] for row in rows}
    assert names == {*(f"out/ATAC.ATAC_{track}.reference.bw" for track in range(3)), "out/CONTACT_MAPS.npz"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *(name.removeprefix("out/") for name in names),
        "prediction.json",
    }
    assert rows[0][1:7] == ["ATAC", "ATAC 0", "tissue 0", "reference", "1", "200"]
    with pyBigWig.open(str(tmp_path / rows[0][0])) as file:
        (mean,) = file.stats("chr1", 15_000, 15_200, exact=True)
    assert float(rows[0][8]) == pytest.approx(mean, rel=1e-3)


def test_folder_that_cannot_be_made_is_an_error(bench: Bench, tmp_path: pathlib.Path) -> None:
    (tmp_path / "out").write_text("a file")
    done = predict(bench, REGION, "--output", "ATAC", "-o", "out", cwd=tmp_path)
    assert done.returncode == 2
    assert "output out\n  is not a folder" in done.stderr


def test_without_the_extra_it_says_what_to_install() -> None:
    program = MAIN_WITHOUT.format(module="pyBigWig")
    done = vepscore("predict", REGION, "-r", "absent.fa", "-o", "out", program=program)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: bigWig files are written with pyBigWig, which is not installed\n"
        "  hint: pip install 'vepscore[tracks]'\n"
    )
