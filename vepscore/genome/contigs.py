"""Contig names across naming schemes: UCSC (chr1, chrM), Ensembl (1, MT) and RefSeq (NC_000001.11)."""

import re
from collections import defaultdict
from collections.abc import Iterable

_CHR_PREFIX = re.compile(r"chr(?=.)", re.IGNORECASE)
_ACCESSION = re.compile(r"NC_(\d{6})(?:\.(\d+))?")
_MITOCHONDRION = "MT"
_SLICE = re.compile(r"(?P<chrom>[^:]+):(?P<start1>\d+)-(?P<end1>\d+)")


def _assembled_chromosomes() -> dict[str, str]:
    """Map RefSeq accessions without their versions to chromosomes, for human and mouse."""
    human = [*map(str, range(1, 23)), "X", "Y"]
    mouse = [*map(str, range(1, 20)), "X", "Y"]
    return {
        **{f"{number:06}": name for number, name in enumerate(human, start=1)},
        **{f"{number:06}": name for number, name in enumerate(mouse, start=67)},
        "012920": _MITOCHONDRION,
        "005089": _MITOCHONDRION,
    }


_CHROMOSOME_OF_ACCESSION = _assembled_chromosomes()


class ContigNames:
    """The contigs of one file, matched by the names that other files use for them.

    Attributes:
        names: the file's own names, in order.
        aliased: (query, match) for each query so far that matched another name.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        self.aliased: set[tuple[str, str]] = set()
        self._known: dict[str, str | None] = {name: name for name in self.names}
        self._by_chromosome: dict[str, list[str]] = defaultdict(list)
        for name in dict.fromkeys(self.names):
            self._by_chromosome[_chromosome(name)].append(name)

    def match(self, name: str) -> str | None:
        """Return this file's name of the contig `name`; None if there is no match or more than one.

        An exact match takes precedence. Two RefSeq accessions of one chromosome with different versions belong to
        different assemblies, so they do not match.
        """
        if name not in self._known:
            found = self._by_chromosome.get(_chromosome(name), [])
            is_match = len(found) == 1 and not _versions_differ(name, found[0])
            self._known[name] = found[0] if is_match else None
        matched = self._known[name]
        if matched is not None and matched != name:
            self.aliased.add((name, matched))
        return matched


def _chromosome(name: str) -> str:
    accession = _ACCESSION.fullmatch(name)
    if accession:
        return _CHROMOSOME_OF_ACCESSION.get(accession[1], name)
    bare = _CHR_PREFIX.sub("", name, count=1) if _CHR_PREFIX.match(name) else name
    return _MITOCHONDRION if bare == "M" else bare


def _versions_differ(name: str, other: str) -> bool:
    left, right = _ACCESSION.fullmatch(name), _ACCESSION.fullmatch(other)
    return left is not None and right is not None and left.groups() != right.groups()


def slice_origin(name: str) -> tuple[str, int]:
    """Return the chromosome that a contig is a slice of, and its start there, 0-based.

    `chrom:start-end` (1-based, inclusive) is a slice of `chrom`; any other name is a whole contig.
    """
    match = _SLICE.fullmatch(name)
    return (match["chrom"], int(match["start1"]) - 1) if match else (name, 0)
