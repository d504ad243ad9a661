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

_SHOWN_CONTIGS = 5


class RegionFilters:
    """Keep alleles in any of some regions; without regions, keep all.

    The name of a contig may have colons, so a text may have two readings. One whose contig is in the file is preferred.

    Args:
        texts: `chr1`, `chr1:1000` or `chr1:1,000-2,000`, 1-based, both ends included.

    Raises:
        UsageError: a text is none of these.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._readings = {text: _read_region(text) for text in texts}
        self._contigs: dict[str, None] = {}  # of the file, in order

    def declare(self, contigs: Iterable[str]) -> None:
        """Add contigs that the file declares."""
        self._contigs |= dict.fromkeys(contigs)
        known = ContigNames(self._contigs)
        for text, readings in self._readings.items():
            found = [one for one in readings if known.match(one[1].contig) is not None]
            self._readings[text] = found[:1] or readings

    def include(self, chrom: str, pos1: int, ref: str) -> bool:
        """Return whether REF has a base in a region, or there are no regions."""
        if not self._readings:
            return True
        self._contigs[chrom] = None
        start0, end0 = pos1 - 1, pos1 - 1 + max(len(ref), 1)
        return any(
            names.match(chrom) is not None
            and end0 > part.start0
            and (part.end0 is None or start0 < part.end0)
            for readings in self._readings.values()
            for names, part in readings
        )

    def find_unknown(self) -> str | None:
        """Return a warning about regions on contigs that the file does not have; None if there are none."""
        contigs = list(self._contigs)
        unknown = [
            text
            for text, readings in self._readings.items()
            if not any(names.match(chrom) for names, _ in readings for chrom in contigs)
        ]
        if not unknown:
            return None
        shown = ", ".join(contigs[:_SHOWN_CONTIGS]) + (" …" if len(contigs) > _SHOWN_CONTIGS else "")
        return f"--region {', '.join(unknown)}: the file has no such contig; its contigs: {shown or 'none'}"


def _read_region(text: str) -> list[tuple[ContigNames, RegionText]]:
    """Return the possible readings of a region, each with its contig under any name."""
    found = [reading for reading in (parse_contig(text), parse_interval(text)) if reading is not None]
    if not found:
        raise UsageError(f"--region {text}\nexpected CONTIG, CONTIG:POS or CONTIG:START-END, 1-based")
    return [(ContigNames([reading.contig]), reading) for reading in found]


class GeneList:
    """Genes by name or id, in any case; Ensembl ids with or without their version.

    Args:
        texts: each is a file with a gene in the first column of each line, or names separated by commas.

    Raises:
        UsageError: a file is a GTF or cannot be read, or there is no gene.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._names = {_key(name): name for text in texts for name in _read_names(text)}
        self._found: set[str] = set()
        if not self._names:
            raise UsageError(f"--gene {' '.join(texts)}\nfound no gene, expected names or ids")

    def has(self, gene_id: str, name: str) -> bool:
        """Return whether a gene is one of them, by its id or its name."""
        keys = {_key(gene_id), _key(name)} & self._names.keys()
        self._found |= keys
        return bool(keys)

    @property
    def unseen(self) -> list[str]:
        """Genes without an entry so far, as given."""
        return [name for key, name in self._names.items() if key not in self._found]


def _key(name: str) -> str:
    return without_version(name).casefold()


def _read_names(text: str) -> list[str]:
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
