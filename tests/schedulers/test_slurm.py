"""examples/02_slurm on a Slurm cluster of one node."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.schedulers.conftest import EXAMPLES, RESUMES, SHARDS, Bench, has_progress, needs, results_in
from tests.schedulers.slurm import TOOLS, Cluster, running_cluster, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.alone, needs(*TOOLS, origin="Debian: slurm-wlm, munge")]

SUBMIT = EXAMPLES / "02_slurm" / "submit.sh"
_SECONDS = 240  # for all jobs to end


@pytest.fixture(scope="module")
def cluster(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("slurm"), bench.environment) as cluster:
        yield cluster


def submit(cluster: Cluster, bench: Bench, folder: Path, shards: int = SHARDS) -> None:
    """As a user would, from the folder that has the input."""
    files = ["in.vcf", "-r", "tiny.fa", "-g", "tiny.gtf"]
    cluster.run("bash", SUBMIT, folder, shards, *files, *bench.options.split(), cwd=bench.folder)


def score_tasks(cluster: Cluster, folder: Path) -> list[dict[str, str]]:
    """The array's tasks that wrote into `folder`, by their number."""
    tasks = [job for job in cluster.jobs() if "ArrayTaskId" in job and str(folder) in job["StdOut"]]
    return sorted(tasks, key=lambda job: int(job["ArrayTaskId"]))


def begin_one_task(cluster: Cluster, bench: Bench, folder: Path) -> dict[str, str]:
    """A task that has scored something, and has not ended."""
    submit(cluster, bench, folder, shards=1)
    wait_until(lambda: has_progress(folder), _SECONDS, "no progress", lambda: logs(folder))
    (task,) = score_tasks(cluster, folder)
    return task


def test_array_and_merge_write_what_one_process_writes(
    bench: Bench, expected: dict[str, bytes], cluster: Cluster, tmp_path: Path
) -> None:
    submit(cluster, bench, tmp_path)
    cluster.wait(_SECONDS)
    states = [task["JobState"] for task in score_tasks(cluster, tmp_path)]
    assert states == ["COMPLETED"] * SHARDS, logs(tmp_path)
    assert results_in(tmp_path) == expected


def test_requeued_task_resumes(
    bench: Bench, expected: dict[str, bytes], cluster: Cluster, tmp_path: Path
) -> None:
    task = begin_one_task(cluster, bench, tmp_path)
    cluster.run("scontrol", "requeue", task["JobId"])
    cluster.wait(_SECONDS)
    (task,) = score_tasks(cluster, tmp_path)
    assert (task["JobState"], task["Restarts"]) == ("COMPLETED", "1"), logs(tmp_path)
    said = logs(tmp_path)
    assert said.index("terminated\n") < said.index(RESUMES)
    assert results_in(tmp_path) == expected


def test_submitted_again_a_terminated_task_resumes(
    bench: Bench, expected: dict[str, bytes], cluster: Cluster, tmp_path: Path
) -> None:
    """Terminated as near its time limit; the merge that waits for it is given up."""
    task = begin_one_task(cluster, bench, tmp_path)
    cluster.run("scancel", "--batch", "--signal=TERM", task["JobId"])
    cluster.wait(_SECONDS)
    (task,) = score_tasks(cluster, tmp_path)
    assert (task["JobState"], task["ExitCode"]) == ("FAILED", "143:0"), logs(tmp_path)
    submit(cluster, bench, tmp_path, shards=1)
    cluster.wait(_SECONDS)
    assert RESUMES in logs(tmp_path)
    assert results_in(tmp_path) == expected


def logs(folder: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(folder.glob("*.log")))
