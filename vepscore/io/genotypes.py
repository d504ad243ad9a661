"""The genotypes of one sample, read from the records of a VCF."""

import re

from vepscore.errors import InputError
from vepscore.io.header import FIRST_SAMPLE_COLUMN, VcfHeader
from vepscore.io.records import Record

_KEY = b"GT"
_SEPARATOR = re.compile(rb"[/|]")


class Genotypes:
    """Reads which alleles a sample carries, as `bcftools view -s SAMPLE -c1` does.

    Args:
        header: the VCF's header.
        sample: the name of the sample.

    Raises:
        InputError: there is no such sample.
    """

    def __init__(self, header: VcfHeader, sample: str) -> None:
        if sample not in header.samples:
            raise InputError(
                f"{header.source}\nhas no sample {sample}; it has {', '.join(header.samples) or 'none'}",
                hint="--sample takes one of these" if header.samples else "rank a VCF with genotypes",
            )
        self._source = header.source
        self._column = FIRST_SAMPLE_COLUMN + header.samples.index(sample)
        self._is_known = "GT" in header.declared("FORMAT")  # that the file has genotypes
        self._has_records = False

    def carried(self, record: Record) -> frozenset[int]:
        """Return the alleles of the sample's genotype, 0 for REF; empty where the record has no genotype of it.

        GT may stand anywhere in FORMAT, and alleles may be missing (`./1`), haploid or phased.
        """
        self._has_records = True
        columns = record.line.split(b"\t", self._column + 1)
        keys = columns[FIRST_SAMPLE_COLUMN - 1].split(b":")
        if _KEY not in keys:
            return frozenset()
        self._is_known = True
        values = columns[self._column].split(b":")
        place = keys.index(_KEY)
        alleles = _SEPARATOR.split(values[place]) if place < len(values) else []
        return frozenset(int(allele) for allele in alleles if allele.isdigit())

    def check(self) -> None:
        """Check, after the last record, that the file has genotypes.

        Raises:
            InputError: neither the header nor any record has GT.
        """
        if self._has_records and not self._is_known:
            raise InputError(
                f"{self._source}\nfound no GT in the FORMAT of any record, expected genotypes",
                hint="--sample needs genotypes",
            )
