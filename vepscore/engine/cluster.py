"""Score records on the workers of a Dask cluster, and collect the results in order.

A worker opens the job's files itself, so it must find them under the same paths; it keeps them open for the job's other
tasks. A task is a number of consecutive records, so that neighbors share the work of their window. Losing a worker
loses no results: the scheduler gives its tasks to another one.
"""

import collections
import contextlib
import dataclasses
import re
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any

from vepscore.engine.job import Job
from vepscore.engine.preparer import AllelePreparer
from vepscore.engine.provenance import describe_files
from vepscore.engine.scored_records import score_records
from vepscore.engine.scorer_plugins import load_scorers
from vepscore.engine.scoring import Engine
from vepscore.engine.session import SessionInfo, open_preparer, open_session
from vepscore.engine.settings import set_up_process
from vepscore.errors import ClusterError, UsageError
from vepscore.io.codec import decode_results, encode_results
from vepscore.io.journal import Journal
from vepscore.io.records import Record
from vepscore.io.results import RecordResult
from vepscore.io.run_metadata import header_key
from vepscore.model.registry import resolve_checkpoint

_LOCAL = re.compile(r"local:([1-9]\d*)")
_TASK_ALLELES = 16  # alleles in a task, counting those that can be scored
_TASK_RECORDS = 1000  # records in a task at most
_TASKS_PER_WORKER = 3  # one at work, the others waiting
_CONNECTION_SECONDS = 30


class Cluster:
    """The workers of a run. Made by `open_cluster`."""

    def __init__(self, client: Any, job: Job, preparer: AllelePreparer) -> None:
        self._client = client
        self._opening = _for_workers(job), preparer.source, preparer.assembly
        self.info: SessionInfo = _result(self._submit(_describe))
        self.preparer = dataclasses.replace(preparer, scorers=tuple(load_scorers(self.info.metadata.scorers)))
        for name, file in describe_files(job, preparer).items():
            _check_agreement(
                {header_key(name): str(file)}, {header_key(name): self.info.metadata.text_of(name)}
            )

    def score(
        self, records: Iterable[Record], journal: Journal | None
    ) -> Generator[list[RecordResult], None, None]:
        """Yield the results of records in their order, those of a task at a time; those in the journal come from it.

        Raises:
            ClusterError: workers disagree about the files, or a task has ended several of them.
            VepscoreError: what a worker raised.
        """
        waiting: collections.deque[tuple[Sequence[Record], Any]] = collections.deque()
        for task in _tasks(records, self.preparer, journal):
            unknown = [record for record in task if journal is None or record not in journal]
            waiting.append((task, self._submit(_score, unknown) if unknown else None))
            while len(waiting) > _TASKS_PER_WORKER * max(1, len(self._client.nthreads())):
                yield self._finish(*waiting.popleft(), journal)
        while waiting:
            yield self._finish(*waiting.popleft(), journal)

    def _submit(self, function: Any, *arguments: Any) -> Any:
        # Not pure: the task gets a unique key, so that the scheduler does not hash the records.
        return self._client.submit(function, *self._opening, *arguments, pure=False)

    def _finish(self, task: Sequence[Record], future: Any, journal: Journal | None) -> list[RecordResult]:
        key, scored = (_key(self.info), []) if future is None else _result(future)
        _check_agreement(_key(self.info), key)
        found = iter(scored)
        results = []
        for record in task:
            known = journal.read(record) if journal is not None and record in journal else None
            alleles = decode_results(next(found)) if known is None else known
            results.append(RecordResult(record=record, alleles=alleles))
        return results


@contextlib.contextmanager
def open_cluster(job: Job, address: str, preparer: AllelePreparer) -> Iterator[Cluster]:
    """Connect to a scheduler, or start one with workers on this machine.

    Raises:
        UsageError: Dask is not installed, or the address is invalid.
        ClusterError: no scheduler answers at the address, or its workers see other files.
        VepscoreError: what a worker raised when it opened the job's files.
    """
    try:
        import distributed
    except ImportError as error:
        raise UsageError(
            f"--cluster {address}: Dask is not installed", hint="pip install 'vepscore[cluster]'"
        ) from error
    with contextlib.ExitStack() as stack:
        if match := _LOCAL.fullmatch(address):
            # Lost workers are replaced. Their logs are silenced: the run itself reports errors.
            address = stack.enter_context(
                distributed.LocalCluster(
                    n_workers=int(match[1]), threads_per_worker=1, dashboard_address=None, silence_logs=40
                )
            )
        elif address.startswith("local"):
            raise UsageError(f"--cluster {address}\nexpected local:N, or the address of a scheduler")
        try:
            client = distributed.Client(address, timeout=_CONNECTION_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ClusterError(
                f"--cluster {address}\nno scheduler answers: {error}", hint="start one with `dask scheduler`"
            ) from error
        yield Cluster(stack.enter_context(client), job, preparer)


def _for_workers(job: Job) -> Job:
    """Return what a worker needs to know of a job, with absolute paths: it may run in another folder."""
    paths = {
        "reference": job.genome.reference,
        "genes": job.genome.genes,
        "polya": job.genome.polya,
        "metadata": job.model.metadata,
        "quantiles": job.scoring.quantiles,
    }
    return job.changed(
        **{name: path and path.absolute() for name, path in paths.items()},
        checkpoint=str(resolve_checkpoint(job.model.checkpoint).absolute()),
        outputs=tuple(output for output in job.outputs if output.needs_all_scores),
    )


def _tasks(
    records: Iterable[Record], preparer: AllelePreparer, journal: Journal | None
) -> Iterator[list[Record]]:
    """Yield tasks: consecutive records with about the same number of alleles."""
    task: list[Record] = []
    alleles = 0
    for record in records:
        task.append(record)
        if journal is None or record not in journal:
            alleles += sum(preparer.may_score(record, alt) for alt in record.alts)
        if alleles >= _TASK_ALLELES or len(task) >= _TASK_RECORDS:
            yield task
            task, alleles = [], 0
    if task:
        yield task


def _result(future: Any) -> Any:
    """Return the result of a task.

    Raises:
        ClusterError: several workers were lost while they worked on it.
        VepscoreError: the task raised it.
    """
    import distributed

    try:
        return future.result()
    except distributed.KilledWorker as error:
        raise ClusterError(
            f"{error}\nseveral workers were lost while scoring the same records",
            hint="look into a worker's log; the usual reason is memory",
        ) from error


def _key(info: SessionInfo) -> dict[str, str]:
    """Return what must be the same wherever records of one run are scored."""
    return info.metadata.to_header() | {"device": info.device, "threads": str(info.threads)}


def _check_agreement(expected: Mapping[str, str], found: Mapping[str, str]) -> None:
    lines = [
        f"{key}: {value} and {found.get(key, 'none')}"
        for key, value in expected.items()
        if found.get(key) != value
    ]
    if lines:
        raise ClusterError(
            "\n".join(["the processes of the run disagree about what they score with", *lines]),
            hint="give them the same version, files and kind of device; NPROC sets the threads",
        )


# On a worker.

_lock = threading.Lock()  # a worker may have several threads, and a device has room for one engine
_opened: dict[Job, tuple[AllelePreparer, SessionInfo, Engine]] = {}


def _open(job: Job, source: str, assembly: str) -> tuple[AllelePreparer, SessionInfo, Engine]:
    if job not in _opened:
        _opened.clear()
        set_up_process(job.compute.device)
        preparer = open_preparer(job, source=source, assembly=assembly)
        session = open_session(job, preparer)
        _opened[job] = session.preparer, session.info, session.create_engine()
    return _opened[job]


def _describe(job: Job, source: str, assembly: str) -> SessionInfo:
    with _lock:
        return _open(job, source, assembly)[1]


def _score(
    job: Job, source: str, assembly: str, records: Sequence[Record]
) -> tuple[dict[str, str], list[bytes]]:
    with _lock:
        preparer, info, engine = _open(job, source, assembly)
        chunks = score_records(records, preparer, engine, keep_matrices=job.keeps_all_scores)
        return _key(info), [encode_results(result.alleles) for chunk in chunks for result in chunk]
