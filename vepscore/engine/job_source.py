"""The input of a job: its records, the part of them that a shard has, and whether its files stay as they are."""

import contextlib
import dataclasses
import functools
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from vepscore.engine.job import Job
from vepscore.engine.preparer import AllelePreparer
from vepscore.errors import InputError, UsageError
from vepscore.genome.cache import file_digest, file_stamp
from vepscore.io.journal import Journal
from vepscore.io.lines import STDIN
from vepscore.io.records import Record, RecordReader, Scan, open_records, scan_records
from vepscore.io.run_metadata import ShardRecords
from vepscore.options.option_types import Shard

# In seconds of scoring an allele outside of genes; measured on the official network.
_PASSED_THROUGH = 1e-4  # a record, and one that no scorer of the run applies to
_IN_GENE = 0.75  # what splicing in the genes that it overlaps adds


@dataclasses.dataclass
class JobSource:
    """The records of a job's input. Made by `open_source`."""

    job: Job
    reader: RecordReader
    scan: Scan | None  # None: the input can be read only once
    stamps: Mapping[Path, str]  # identify the files that are read
    # Contigs of the records, counted if there is no scan.
    contigs: Counter[str] = dataclasses.field(default_factory=Counter)

    @functools.cached_property
    def digest(self) -> str:
        """The sha256 of the input; "unknown" if it can be read only once."""
        return "unknown" if self.scan is None else file_digest(self.job.source)

    def count(self, part: range | None) -> int | None:
        """Return the number of records, of a part or of all; None if it is not known beforehand."""
        if part is not None:
            return len(part)
        return None if self.scan is None else self.scan.records

    def find_part(self, preparer: AllelePreparer) -> range | None:
        """Return the records of the job's shard; None if it has them all.

        Raises:
            UsageError: the input can be read only once.
        """
        shard, source = self.job.run.shard, self.job.source
        if shard is None:
            return None
        if source == STDIN or not Path(source).is_file():
            raise UsageError(
                f"--shard {shard}: {source} can be read only once, and dividing it needs two passes",
                hint="write the input to a file first",
            )
        with open_records(source) as records:
            return records_of(shard, records, preparer)

    def describe_part(self, part: range | None) -> ShardRecords | None:
        """Return what an output says of its part."""
        shard = self.job.run.shard
        if shard is None or part is None:
            return None
        return ShardRecords(shard.number, shard.total, part.start, part.stop, self.digest)

    def take(self, part: range | None) -> Iterable[Record]:
        """Return the records of a part, or all."""
        if self.scan is None:
            return self._counted()
        return self.reader if part is None else itertools.islice(self.reader, part.start, part.stop)

    def _counted(self) -> Iterator[Record]:
        for record in self.reader:
            self.contigs[record.chrom] += 1
            yield record

    def check_unchanged(self, journal: Journal | None) -> None:
        """Clear the journal and raise if a file is not the one that the run began with.

        Raises:
            InputError: a file has changed.
        """
        for path, stamp in self.stamps.items():
            if not path.is_file() or file_stamp(path) != stamp:
                if journal is not None:
                    journal.clear()
                raise InputError(
                    f"{path}\nhas changed while it was read; nothing was written",
                    hint="rerun once the file is no longer being modified",
                )


@contextlib.contextmanager
def open_source(job: Job) -> Iterator[JobSource]:
    """Open a job's input.

    Raises:
        InputError: it cannot be read, or is no VCF.
    """
    files = [Path(job.source), job.genome.reference, job.genome.genes, job.genome.polya]
    stamps = {path: file_stamp(path) for path in files if path is not None and path.is_file()}
    scan = scan_records(job.source)
    with open_records(job.source) as reader:
        yield JobSource(job=job, reader=reader, scan=scan, stamps=stamps)


def records_of(shard: Shard, records: Iterable[Record], preparer: AllelePreparer) -> range:
    """Return the indices of a shard's records, which are consecutive; shards have roughly equal work.

    A record belongs to the shard into which the middle of its work falls.
    """
    work = np.fromiter((estimate_work(record, preparer) for record in records), np.float64)
    middles = np.cumsum(work) - work / 2
    bounds = work.sum() * np.array([shard.number - 1, shard.number]) / shard.total
    first, end = np.searchsorted(middles, bounds)
    return range(int(first), int(end))


def estimate_work(record: Record, preparer: AllelePreparer) -> float:
    """Estimate the cost of scoring a record from the record and the annotation."""
    scored = sum(preparer.may_score(record, alt) for alt in record.alts)
    in_gene = bool(scored) and preparer.is_in_gene(record)
    return _PASSED_THROUGH + scored * (1 + _IN_GENE * in_gene)
