"""Divide an input into shards of roughly equal cost, for job arrays: the same shards wherever they are computed."""

from collections.abc import Iterable

import numpy as np

from vepscore.engine.preparer import AllelePreparer
from vepscore.io.records import Record
from vepscore.options.option_types import Shard

# In seconds of scoring an allele outside of genes; measured on the official network.
_PASSED_THROUGH = 1e-4  # a record, and one that no scorer of the run applies to
_IN_GENE = 0.75  # what splicing in the genes that it overlaps adds


def records_of(shard: Shard, records: Iterable[Record], preparer: AllelePreparer) -> range:
    """Return the indices of a shard's records, which are consecutive.

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
