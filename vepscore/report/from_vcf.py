"""Read the alleles of an annotated VCF or BCF."""

import functools
import math
import urllib.parse
from collections.abc import Iterable, Iterator

from vepscore.errors import InputError
from vepscore.io.fields import DETAIL, MISSING, QUANTILE_FIELDS, STATUS
from vepscore.io.genotypes import Genotypes
from vepscore.io.header import PROVENANCE_PREFIX, VcfHeader, contigs_of_header
from vepscore.io.info import encode
from vepscore.io.info_values import InfoValues
from vepscore.io.records import Record, RecordReader, open_records
from vepscore.report.filters import MaxFrequency
from vepscore.report.modalities import Modality
from vepscore.report.scored_alleles import AlleleReader, Entry, Measure, ScoredAllele


class VcfAlleles(AlleleReader):
    """The alleles of an annotated VCF.

    Args:
        path: VCF or BCF; "-" is standard input.
        modality: its fields are read.
        regions: keep only alleles that overlap one of these; empty: keep all.
        max_af: keep only alleles up to this frequency, such as "AF=0.001".
        sample: keep only alleles that this sample carries.

    Raises:
        UsageError: a region or the frequency is malformed.
    """

    def __init__(
        self,
        path: str,
        modality: Modality,
        *,
        regions: Iterable[str] = (),
        max_af: str | None = None,
        sample: str | None = None,
    ) -> None:
        super().__init__(modality, regions)
        self._path, self._sample = path, sample
        self._max_frequency = MaxFrequency.parse(max_af) if max_af else None

    def __iter__(self) -> Iterator[ScoredAllele]:
        with open_records(self._path) as records:
            values = InfoValues(records.header)
            self._check(records.header, values)
            genotypes = None if self._sample is None else Genotypes(records.header, self._sample)
            self.contigs = contigs_of_header(records.header)
            self.regions.declare(self.contigs.contigs)
            self.provenance = tuple(
                line for line in records.header.meta if line.startswith(PROVENANCE_PREFIX)
            )
            for record in records:
                yield from self._alleles(records, record, values, genotypes)
        if genotypes is not None:
            genotypes.check()

    def _check(self, header: VcfHeader, values: InfoValues) -> None:
        """Raise InputError if the header does not declare a field that is read."""
        for field in (STATUS.id, self._modality.field):
            if not values.declares(field):
                raise InputError(
                    f"{header.source}\nthe header declares no {field}, expected an output of `vepscore score`",
                    hint="rank the file that `vepscore score -o` wrote",
                )
        if self._max_frequency and not values.declares(self._max_frequency.field):
            raise InputError(
                f"{header.source}\nthe header declares no INFO field {self._max_frequency.field}; "
                f"it has {', '.join(header.declared('INFO'))}",
                hint="use one of these with --max-af",
            )

    def _alleles(
        self, records: RecordReader, record: Record, values: InfoValues, genotypes: Genotypes | None
    ) -> Iterator[ScoredAllele]:
        if not record.alts:
            self.excluded["record without an ALT"] += 1
            return
        if not self.regions.include(record.chrom, record.pos1, record.ref):
            self.excluded["outside the regions"] += len(record.alts)
            return
        where = f"{records.name} record {record.index}, {record.chrom}:{record.pos1} {record.ref[:60]}"
        info = values.read(record)
        carried = None if genotypes is None else genotypes.carried(record)
        statuses = values.texts(record, info, STATUS.id)
        measures = self._stated(record, info, values, where)
        limit = self._max_frequency
        frequencies = values.texts(record, info, limit.field) if limit else []
        for index, alt in enumerate(record.alts):
            if limit and not limit.allows(frequencies[index], where):
                self.excluded[f"{limit.field} above {limit.value:g}"] += 1
            elif carried is not None and index + 1 not in carried:
                known = "not carried by" if carried else "no genotype of"
                self.excluded[f"{known} {self._sample}"] += 1
            else:
                yield ScoredAllele(
                    record=record.index,
                    alt_index=index,
                    chrom=record.chrom,
                    pos1=record.pos1,
                    id=record.id,
                    ref=record.ref,
                    alt=alt,
                    status=statuses[index],
                    stated=measures[index],
                    read_entries=functools.partial(_parse_entries, info.get(DETAIL.id, ""), alt, where),
                )

    def _stated(self, record: Record, info: dict[str, str], values: InfoValues, where: str) -> list[Measure]:
        modality = self._modality
        texts = values.texts(record, info, modality.field)
        quantiles = values.texts(record, info, QUANTILE_FIELDS[modality.field].id)
        genes = [MISSING] * len(texts)
        if modality.gene_field:
            genes = values.texts(record, info, modality.gene_field)
        return [
            Measure(
                value=_number(text, modality.field, where),
                quantile=_number(quantile, QUANTILE_FIELDS[modality.field].id, where),
                gene="" if gene == MISSING else urllib.parse.unquote(gene),
            )
            for text, quantile, gene in zip(texts, quantiles, genes, strict=True)
        ]


def _number(text: str, field: str, where: str) -> float:
    if text == MISSING:
        return math.nan
    try:
        return float(text)
    except ValueError:
        raise InputError(
            f"{where}\n{field} is {text[:60]!r}, expected a number or '.'",
            hint="score the original file again; this one was changed after scoring",
        ) from None


def _parse_entries(detail: str, alt: str, where: str) -> tuple[Entry, ...]:
    """Return the entries of the INFO field VS for one ALT."""
    entries = []
    for entry in detail.split(","):
        parts = entry.split("|")
        if len(parts) < 7 or parts[0] != encode(alt) or not parts[4]:
            continue
        _, scorer, gene_id, gene, text, track, tissue = map(urllib.parse.unquote, parts[:7])
        score = _number(text, DETAIL.id, where)
        entries.append(
            Entry(scorer=scorer, gene_id=gene_id, gene=gene, score=score, track=track, tissue=tissue)
        )
    return tuple(entries)
