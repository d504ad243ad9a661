"""Workers of a real Dask cluster give what one process gives, also when some of them are lost."""

import os
import signal
import threading
from pathlib import Path

import distributed
import pytest

from tests.builders import TinyGenome, vcf_row, write_vcf
from tests.engine.jobs import paths_of, renamed, tiny_job
from vepscore.engine.cluster import open_cluster
from vepscore.engine.job import Job
from vepscore.engine.run_job import JobReport, run_job
from vepscore.engine.scored_records import RunCounts
from vepscore.engine.session import open_preparer
from vepscore.errors import ClusterError, GenomeError, UsageError
from vepscore.options.option_types import MismatchPolicy

ROWS = [vcf_row("chr1", 9_000 + 40 * i, 1, *(("~",), ("<DEL>",), ("~", "~G"))[i % 3]) for i in range(60)]


@pytest.fixture(autouse=True)
def cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which workers inherit."""
    monkeypatch.setenv("VEPSCORE_CACHE", str(folder / "cache"))
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")


@pytest.fixture
def job(genome: TinyGenome, checkpoint_folder: Path, tmp_path: Path) -> Job:
    return tiny_job(
        genome,
        checkpoint_folder,
        write_vcf(tmp_path / "in.vcf", *ROWS),
        outputs=(str(tmp_path / "out.vcf"), str(tmp_path / "out.parquet")),
        scorers=("DNASE", "RNA_SEQ"),
        device="cpu",
    )


def finish(job: Job) -> JobReport:
    return run_job(job, lambda counts, total: None)


def contents(job: Job) -> list[bytes]:
    return [path.read_bytes() for path in paths_of(job)]


@pytest.mark.slow
@pytest.mark.parametrize("scorers", [("DNASE", "RNA_SEQ"), ("SPLICE_SITES",)])
def test_workers_give_the_bytes_of_one_process(job: Job, scorers: tuple[str, ...]) -> None:
    """The second scorer applies to none of the alleles."""
    job = job.changed(scorers=scorers)
    finish(job)
    on_workers = renamed(job, "cluster.", cluster="local:2")
    report = finish(on_workers)
    assert report.counts.records == len(ROWS) and report.device == "cpu"
    assert contents(on_workers) == contents(job)


@pytest.mark.slow
@pytest.mark.alone
def test_lost_worker_loses_nothing(job: Job) -> None:
    """At an address, as users have it; one of two workers is killed when results begin to come."""
    finish(job)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=40
    ) as cluster:
        victim = cluster.workers[0].pid
        killed = threading.Event()

        def observe(counts: RunCounts, total: int | None) -> None:
            if counts.records and not killed.is_set():
                os.kill(victim, signal.SIGKILL)
                killed.set()

        on_workers = renamed(job, "cluster.", cluster=cluster.scheduler_address)
        run_job(on_workers, observe)
    assert killed.is_set()
    assert contents(on_workers) == contents(job)


@pytest.mark.slow
@pytest.mark.ci
def test_error_of_a_worker_is_that_of_the_run(job: Job) -> None:
    chrom, pos1, name, _, alt = ROWS[0]
    write_vcf(Path(job.source), *ROWS[:3], (chrom, pos1, name, "TTTT", alt))
    with pytest.raises(GenomeError, match=r"in\.vcf record 3") as raised:
        finish(job.changed(cluster="local:1", on_ref_mismatch=MismatchPolicy.ERROR))
    assert raised.value.hint.startswith("pass the matching --reference")
    assert not any(path.exists() for path in paths_of(job))


def test_workers_that_see_another_reference_are_refused(job: Job, genome: TinyGenome) -> None:
    """As where a path means another file on the workers' machine: here it changes after the client has read it."""
    on_workers = job.changed(cluster="local:1")
    preparer = open_preparer(on_workers, source="in.vcf", assembly="")
    preparer.reference.digest = lambda: 64 * "a"
    with pytest.raises(ClusterError) as raised, open_cluster(on_workers, "local:1", preparer):
        pytest.fail("opened")
    first, second, _ = str(raised.value).splitlines()
    assert first == "the processes of the run disagree about what they score with"
    assert second.startswith(f"  vepscoreReference: tiny.fa sha256:{64 * 'a'} and tiny.fa sha256:")


def test_address_without_a_scheduler_is_an_error(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vepscore.engine.cluster._CONNECTION_SECONDS", 1)
    with pytest.raises(ClusterError, match="no scheduler answers"):
        finish(job.changed(cluster="tcp://127.0.0.1:9"))


@pytest.mark.parametrize("address", ["local", "local:0", "local:x"])
def test_impossible_number_of_workers_is_refused(job: Job, address: str) -> None:
    with pytest.raises(UsageError, match="expected local:N, or the address of a scheduler"):
        finish(job.changed(cluster=address))
