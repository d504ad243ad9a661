"""Read the genotypes of one sample from the records of a VCF."""

import re

from vepscore.errors import InputError
from vepscore.io.header import FIRST_SAMPLE_COLUMN, VcfHeader
from vepscore.io.records import Record

_KEY = b"GT"
_SEPARATOR = re.compile(rb"[/|]")


class Genotypes:
    """Read the alleles that a sample carries, like `bcftools view -s SAMPLE -c1`.

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
                hint="give one of these to --sample" if header.samples else "rank a VCF with genotypes",
            )
        self._source = header.source
        self._column = FIRST_SAMPLE_COLUMN + header.samples.index(sample)
        self._has_genotypes = "GT" in header.declared("FORMAT")
        self._has_records = False

    def carried(self, record: Record) -> frozenset[int]:
        """Return the alleles of the sample's genotype, 0 for REF; empty if the record has no genotype.

        GT may be at any position in FORMAT, and genotypes may be partly missing (`./1`), haploid or phased.
        """
        self._has_records = True
        columns = record.line.split(b"\t", self._column + 1)
        keys = columns[FIRST_SAMPLE_COLUMN - 1].split(b":")
        if _KEY not in keys:
            return frozenset()
        self._has_genotypes = True
        values = columns[self._column].split(b":")
        index = keys.index(_KEY)
        alleles = _SEPARATOR.split(values[index]) if index < len(values) else []
        return frozenset(int(allele) for allele in alleles if allele.isdigit())

    def check(self) -> None:
        """Check, after the last record, that the file has genotypes.

        Raises:
            InputError: neither the header nor any record has GT.
        """
        if self._has_records and not self._has_genotypes:
            raise InputError(
                f"{self._source}\nfound no GT in the FORMAT of any record, expected genotypes",
                hint="--sample requires genotypes",
            )
