"""examples/04_nextflow under Nextflow itself; and its processes' scripts alone, for where Nextflow is absent."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.schedulers.conftest import EXAMPLES, RESUMES, SHARDS, Bench, has_progress, needs, results_in
from tests.schedulers.slurm import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.alone]

EXAMPLE = EXAMPLES / "04_nextflow"
INPUTS = ("in.vcf", "tiny.fa", "tiny.gtf")
_SECONDS = 240


@needs("nextflow", origin="https://www.nextflow.io, and Java")
def test_shards_and_merge_write_what_one_process_writes(
    bench: Bench, expected: dict[str, bytes], tmp_path: Path
) -> None:
    files = ["--vcf", "in.vcf", "--reference", "tiny.fa", "--genes", "tiny.gtf"]
    settings = ["--shards", SHARDS, "--folder", tmp_path, "--options", bench.options]
    done = bench.run(
        "nextflow", "run", EXAMPLE / "main.nf", "-work-dir", tmp_path / "work", *files, *settings
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert results_in(tmp_path) == expected


def test_second_try_in_a_new_folder_resumes(bench: Bench, expected: dict[str, bytes], tmp_path: Path) -> None:
    """The scripts as Nextflow would run them: variables filled in, inputs linked, a folder for each try."""
    parts = tmp_path / "parts-of-1"
    first = start_score(bench, tmp_path, tmp_path / "try1")
    wait_until(lambda: has_progress(parts), _SECONDS, "no progress")
    first.terminate()
    _, said = first.communicate(timeout=_SECONDS)
    assert first.returncode == 143, said
    second = start_score(bench, tmp_path, tmp_path / "try2")
    _, said = second.communicate(timeout=_SECONDS)
    assert second.returncode == 0 and RESUMES in said, said
    for name in expected:
        part = f"part-1{''.join(Path(name).suffixes)}"
        merge = filled("MERGE", {"name": str(tmp_path / name), "parts": part})
        subprocess.run(["bash", "-ue", "-c", merge], cwd=tmp_path / "try2", env=bench.environment, check=True)
    assert results_in(tmp_path) == expected


def start_score(bench: Bench, results: Path, folder: Path) -> subprocess.Popen[str]:
    folder.mkdir()
    for name in INPUTS:
        (folder / name).symlink_to(bench.folder / name)
    vcf, reference, genes = INPUTS
    script = filled(
        "SCORE",
        {
            "shard": "1",
            "shards": "1",
            "vcf": vcf,
            "reference": reference,
            "genes": genes,
            "options": bench.options,
            "folder": str(results),
            "task.cpus": "4",
        },
    )
    return subprocess.Popen(  # exec, so that the signal reaches vepscore: Nextflow signals all processes of a task
        ["bash", "-ue", "-c", script.replace("NPROC", "exec env NPROC")],
        cwd=folder,
        env=bench.environment,
        stderr=subprocess.PIPE,
        text=True,
    )


def filled(process: str, values: dict[str, str]) -> str:
    """The script of a process, a Groovy string, with its variables."""
    module = (EXAMPLE / "modules" / "vepscore.nf").read_text()
    script = re.search(rf'^process {process} .*?"""\n(.*?)"""', module, re.MULTILINE | re.DOTALL)[1]
    script = re.sub(r"(?<!\\)\$\{([\w.]+)\}", lambda match: values[match[1]], script)
    return re.sub(r"\\(.)", r"\1", script)
