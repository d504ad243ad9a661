"""Parts of an input of about as much work each, for job arrays: the same parts wherever they are computed."""

import re
from collections.abc import Iterable
from typing import NamedTuple, Self

import numpy as np

from vepscore.engine.preparer import AllelePreparer
from vepscore.errors import UsageError
from vepscore.io.records import Record

# In seconds of scoring an allele outside of genes; measured on the official network.
_PASSED_THROUGH = 1e-4  # a record, and one that no scorer of the run applies to
_IN_GENE = 0.75  # what splicing in the genes that it overlaps adds

_TEXT = re.compile(r"(\d+)/(\d+)")


class Shard(NamedTuple):
    """One part of an input."""

    number: int  # 1-based
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """From "I/N".

        Raises:
            UsageError: it is not that, or there is no such part.
        """
        match = _TEXT.fullmatch(text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise UsageError(
                f"--shard {text}\nexpected I/N, with I from 1 to N", hint="the second of four: 2/4"
            )
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def records_of(shard: Shard, records: Iterable[Record], preparer: AllelePreparer) -> range:
    """The indices of a shard's records, which follow one another.

    A record belongs to the shard that the middle of its work falls into.
    """
    work = np.fromiter((estimate_work(record, preparer) for record in records), np.float64)
    middles = np.cumsum(work) - work / 2
    bounds = work.sum() * np.array([shard.number - 1, shard.number]) / shard.count
    first, end = np.searchsorted(middles, bounds)
    return range(int(first), int(end))


def estimate_work(record: Record, preparer: AllelePreparer) -> float:
    """What scoring a record costs, as far as the record and the annotation tell."""
    scored = sum(preparer.may_score(record, alt) for alt in record.alts)
    in_gene = bool(scored) and preparer.is_in_gene(record)
    return _PASSED_THROUGH + scored * (1 + _IN_GENE * in_gene)
