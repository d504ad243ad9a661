"""Which alleles are ranked: regions, genes, frequencies."""

import dataclasses
import math
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from vepscore.errors import InputError, UsageError
from vepscore.genome.contigs import ContigNames
from vepscore.report.alleles import Entry

_REGION = re.compile(r"(?P<chrom>.+?)(?::(?P<start1>[\d,]+)(?:-(?P<end1>[\d,]+))?)?")
_VERSION = re.compile(r"\.\d+$")


@dataclasses.dataclass(frozen=True, slots=True)
class Region:
    """A stretch of a contig; 0-based and half-open."""

    contig: ContigNames  # that one contig, under any of its names
    start0: int
    end0: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """`chr1`, `chr1:1000` or `chr1:1,000-2,000`, 1-based, both ends included.

        Raises:
            UsageError: it is none of these.
        """
        match = _REGION.fullmatch(text)
        start1 = int((match["start1"] or "1").replace(",", "") or 0) if match else 0
        end1 = math.inf
        if match and match["start1"]:
            end1 = int(match["end1"].replace(",", "") or 0) if match["end1"] else start1
        if not match or start1 < 1 or end1 < start1 or ":" in match["chrom"]:
            raise UsageError(f"--region {text}\nexpected CONTIG, CONTIG:POS or CONTIG:START-END, 1-based")
        return cls(ContigNames([match["chrom"]]), start1 - 1, end1)

    def overlaps(self, chrom: str, pos1: int, ref: str) -> bool:
        """Whether REF shares a base with it."""
        return (
            self.contig.match(chrom) is not None
            and pos1 - 1 < self.end0
            and pos1 - 1 + max(len(ref), 1) > self.start0
        )


class GeneList:
    """Genes by name or id, in any case; ids with or without their version.

    Args:
        names: as they were given.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = {_key(name): name for name in names}
        self._found: set[str] = set()

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Self:
        """Each text is a file, with a gene in the first column of each line, or names separated by commas.

        Raises:
            UsageError: a file is a GTF or cannot be read, or there is no gene.
        """
        names = [name for text in texts for name in _names(text)]
        if not names:
            raise UsageError(f"--gene {' '.join(texts)}\nfound no gene, expected names or ids")
        return cls(names)

    def has(self, entry: Entry) -> bool:
        """Whether the entry is about one of the genes."""
        keys = {_key(entry.gene_id), _key(entry.symbol)} & self._names.keys()
        self._found |= keys
        return bool(keys)

    @property
    def unseen(self) -> list[str]:
        """Those that no entry was about so far, as they were given."""
        return [name for key, name in self._names.items() if key not in self._found]


def _key(name: str) -> str:
    return _VERSION.sub("", name).casefold()


def _names(text: str) -> list[str]:
    path = Path(text)
    if not os.path.isfile(path):
        return [name.strip() for name in text.split(",") if name.strip()]
    if path.name.endswith((".gtf", ".gtf.gz", ".gff", ".gff3", ".gff.gz", ".gff3.gz")):
        raise UsageError(f"--gene {text}\nis an annotation, expected a list of genes", hint="give it to -g")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--gene {text}\ncannot be read: {error}") from error
    return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]


@dataclasses.dataclass(frozen=True, slots=True)
class MaxFrequency:
    """The largest value of an INFO field that an allele may have; one without a value may stay."""

    field: str
    value: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """`FIELD=VALUE`.

        Raises:
            UsageError: it is not that.
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
        """Whether an allele with this text in the field may stay.

        Raises:
            InputError: the text is no number.
        """
        if text == ".":
            return True
        try:
            return not float(text) > self.value
        except ValueError:
            raise InputError(
                f"{where}\n{self.field} is {text[:60]!r}, expected a number or '.'",
                hint="name a field of allele frequencies with --max-af FIELD=VALUE",
            ) from None
