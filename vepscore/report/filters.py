"""Filters on the alleles of a ranking: regions, genes, allele frequencies."""

import dataclasses
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from vepscore.errors import InputError, UsageError
from vepscore.genome.contigs import ContigNames
from vepscore.genome.gene_ids import without_version
from vepscore.genome.regions import RegionText, parse_contig, parse_interval
from vepscore.genome.text_file import open_text
from vepscore.report.scored_alleles import Entry

_SHOWN_CONTIGS = 5


@dataclasses.dataclass(frozen=True, slots=True)
class RegionFilter:
    """A contig or a part of one, 0-based and half-open."""

    text: str  # as given
    readings: tuple[
        tuple[ContigNames, RegionText], ...
    ]  # possible meanings, each with its contig under any name

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `chr1`, `chr1:1000` or `chr1:1,000-2,000`, 1-based, both ends included.

        The name of a contig may have colons, so a text may have two readings.

        Raises:
            UsageError: the text is none of these.
        """
        found = [reading for reading in (parse_contig(text), parse_interval(text)) if reading is not None]
        if not found:
            raise UsageError(f"--region {text}\nexpected CONTIG, CONTIG:POS or CONTIG:START-END, 1-based")
        return cls(text, tuple((ContigNames([reading.contig]), reading) for reading in found))

    def among(self, contigs: Iterable[str]) -> Self:
        """Return the region in a file with these contigs; a reading whose contig is in the file is preferred."""
        known = ContigNames(contigs)
        found = [one for one in self.readings if known.match(one[1].contig) is not None]
        return dataclasses.replace(self, readings=tuple(found[:1])) if found else self

    def names(self, chrom: str) -> bool:
        """Return whether the region may be on the contig."""
        return any(contig.match(chrom) is not None for contig, _ in self.readings)

    def overlaps(self, chrom: str, pos1: int, ref: str) -> bool:
        """Return whether REF has a base in the region."""
        start0, end0 = pos1 - 1, pos1 - 1 + max(len(ref), 1)
        return any(
            contig.match(chrom) is not None
            and end0 > part.start0
            and (part.end0 is None or start0 < part.end0)
            for contig, part in self.readings
        )


class RegionFilters:
    """Keep alleles in any of some regions; without regions, keep all.

    Args:
        regions: the regions as given.
    """

    def __init__(self, regions: Sequence[RegionFilter]) -> None:
        self._regions = tuple(regions)
        self._contigs: dict[str, None] = {}  # of the file, in order

    def declare(self, contigs: Iterable[str]) -> None:
        """Add contigs that the file declares."""
        self._contigs |= dict.fromkeys(contigs)
        self._regions = tuple(region.among(self._contigs) for region in self._regions)

    def include(self, chrom: str, pos1: int, ref: str) -> bool:
        """Return whether REF has a base in a region, or there are no regions."""
        if not self._regions:
            return True
        self._contigs[chrom] = None
        return any(region.overlaps(chrom, pos1, ref) for region in self._regions)

    def find_unknown(self) -> str | None:
        """Return a warning about regions on contigs that the file does not have; None if there are none."""
        unknown = [one.text for one in self._regions if not any(map(one.names, self._contigs))]
        if not unknown:
            return None
        contigs = list(self._contigs)
        shown = ", ".join(contigs[:_SHOWN_CONTIGS]) + (" …" if len(contigs) > _SHOWN_CONTIGS else "")
        return f"--region {', '.join(unknown)}: the file has no such contig; its contigs: {shown or 'none'}"


class GeneList:
    """Genes by name or id, in any case; Ensembl ids with or without their version.

    Args:
        names: the names and ids as given.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = {_key(name): name for name in names}
        self._found: set[str] = set()

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Self:
        """Read texts: each is a file with a gene in the first column of each line, or names separated by commas.

        Raises:
            UsageError: a file is a GTF or cannot be read, or there is no gene.
        """
        names = [name for text in texts for name in _names(text)]
        if not names:
            raise UsageError(f"--gene {' '.join(texts)}\nfound no gene, expected names or ids")
        return cls(names)

    def has(self, entry: Entry) -> bool:
        """Return whether the entry is about one of the genes."""
        keys = {_key(entry.gene_id), _key(entry.symbol)} & self._names.keys()
        self._found |= keys
        return bool(keys)

    @property
    def unseen(self) -> list[str]:
        """Genes without an entry so far, as given."""
        return [name for key, name in self._names.items() if key not in self._found]


def _key(name: str) -> str:
    return without_version(name).casefold()


def _names(text: str) -> list[str]:
    path = Path(text)
    if not os.path.isfile(path):
        return [name.strip() for name in text.split(",") if name.strip()]
    if path.name.endswith((".gtf", ".gtf.gz", ".gff", ".gff3", ".gff.gz", ".gff3.gz")):
        raise UsageError(f"--gene {text}\nis an annotation, expected a list of genes", hint="pass it with -g")
    with open_text(path, UsageError, where=f"--gene {text}", strict=True) as lines:
        return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]


@dataclasses.dataclass(frozen=True, slots=True)
class MaxFrequency:
    """Keep alleles with at most a value in an INFO field, or with no value."""

    field: str
    value: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `FIELD=VALUE`.

        Raises:
            UsageError: the text has another form.
        """
        field, _, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not field or math.isnan(number):
            raise UsageError(
                f"--max-af {text}\nexpected an INFO field and a number", hint="--max-af gnomAD_AF=0.001"
            )
        return cls(field, number)

    def allows(self, text: str, where: str) -> bool:
        """Return whether to keep an allele with this text in the field.

        Raises:
            InputError: the text is not a number.
        """
        if text == ".":
            return True
        try:
            return not float(text) > self.value
        except ValueError:
            raise InputError(
                f"{where}\n{self.field} is {text[:60]!r}, expected a number or '.'",
                hint="give a field of allele frequencies: --max-af FIELD=VALUE",
            ) from None
