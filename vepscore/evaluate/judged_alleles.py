"""Read the alleles of a scored VCF that can be judged, and count the excluded ones by reason."""

import collections
import dataclasses
import logging
import math
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from vepscore.errors import InputError
from vepscore.evaluate.changes import Change, change_of
from vepscore.evaluate.truth import NEGATIVE, POSITIVE, Effects, Excluded, Labels
from vepscore.genome.alleles import Allele, Status, classify_text, more_severe
from vepscore.genome.annotation import Annotation
from vepscore.genome.consistency import check_files, check_record_contigs
from vepscore.genome.fasta import Reference, reference_matches
from vepscore.io.fields import MISSING, STATUS
from vepscore.io.header import PROVENANCE_PREFIX, VcfHeader, contigs_of_header
from vepscore.io.info_values import InfoValues
from vepscore.io.records import Record, open_records

log = logging.getLogger(__name__)

DEFAULT_SCORE = "VS_SPLICE"
_SHOWN_LABELS = 5


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class JudgedAllele:
    """One allele with its truth and its scores."""

    change: Change
    truth: float  # 1 or 0 for labels, else the measured effect
    scores: tuple[float, ...]  # finite; one for each of `JudgedAlleles.fields`


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class JudgedAlleles:
    """The judged alleles of a VCF, and an account of the others."""

    cases: list[JudgedAllele]
    fields: tuple[str, ...]  # INFO fields of the scores
    alleles: int  # ALTs in the file
    excluded: dict[str, int]  # reason → alleles, most first
    provenance: tuple[str, ...]  # header lines that say how the scores were made


def read_judged_alleles(
    path: str | Path,
    truth: Labels | Effects,
    reference: Reference,
    *,
    annotation: Annotation | None = None,
    scores: Sequence[str] | None = None,
    chromosomes: Sequence[str] = (),
) -> JudgedAlleles:
    """Read the alleles that can be judged.

    An allele is judged if it has a truth, all requested scores, a plain sequence, and the reference's bases as REF.
    All predictors are therefore compared on the same alleles.

    Args:
        path: the scored VCF or BCF; "-" is standard input.
        truth: how to read labels or effects.
        reference: the genome.
        annotation: checked against the other files.
        scores: INFO fields with numbers; None: VS_SPLICE if the header has it, else none.
        chromosomes: judge only alleles on these, under any of their names; empty: all.

    Raises:
        InputError: the file cannot be read, a value is malformed, a field is missing, or no allele can be judged.
    """
    with open_records(path) as records:
        values = InfoValues(records.header)
        fields = _choose(records.header, values, truth, scores)
        chosen = {reference.match(name) or name for name in chromosomes}
        judge = _AlleleJudge(values, truth, reference, fields, chosen)
        check_files(header=contigs_of_header(records.header), reference=reference, annotation=annotation)
        cases = [case for record in records for case in judge.read(record)]
        check_record_contigs(judge.contigs, unit="records", reference=reference)
        provenance = [line for line in records.header.meta if line.startswith(PROVENANCE_PREFIX)]
    excluded = dict(sorted(judge.excluded.items(), key=lambda item: (-item[1], item[0])))
    read = JudgedAlleles(
        cases=cases,
        fields=fields,
        alleles=len(cases) + sum(excluded.values()),
        excluded=excluded,
        provenance=tuple(provenance) if fields else (),
    )
    _check(read, truth, records.header.source)
    return read


def _choose(
    header: VcfHeader, values: InfoValues, truth: Labels | Effects, scores: Sequence[str] | None
) -> tuple[str, ...]:
    """Return the fields of the scores; they and the field of the truth must be declared."""
    has_default = values.declares(DEFAULT_SCORE)
    if scores is None and not has_default:
        log.warning(
            "%s has no %s: only the baselines are evaluated; use --score to name other fields",
            header.source,
            DEFAULT_SCORE,
        )
    chosen = tuple(dict.fromkeys(scores or ([DEFAULT_SCORE] if has_default and scores is None else [])))
    for field in (truth.field, *chosen):
        if not values.declares(field):
            raise InputError(
                f"{header.source}\nthe header declares no INFO field {field}; "
                f"it has {', '.join(header.declared('INFO')) or 'none'}",
                hint="name one of these, or add an ##INFO line if the records have the field",
            )
    return chosen


@dataclasses.dataclass(frozen=True)
class _AlleleJudge:
    """Judge records one by one, and count the excluded alleles by reason."""

    values: InfoValues
    truth: Labels | Effects
    reference: Reference
    fields: tuple[str, ...]
    chromosomes: Collection[str]  # as the reference names them; empty: all
    excluded: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    contigs: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)  # of records

    def read(self, record: Record) -> Iterator[JudgedAllele]:
        """Yield the judged alleles of a record."""
        self.contigs[record.chrom] += 1
        info = self.values.read(record)
        if isinstance(self.truth, Effects):
            self.values.numbers(record, info, self.truth.field)  # raises if one is not a number
        truths = self.values.texts(record, info, self.truth.field)
        statuses = self.values.texts(record, info, STATUS.id)
        columns = [self.values.numbers(record, info, field) for field in self.fields]
        for index, alt in enumerate(record.alts):
            try:
                self._check_chromosome(record)
                truth = self.truth.judge(truths[index])
                change = locate_change(self.reference, record.chrom, record.pos1, record.ref, alt)
                scores = self._scores(statuses[index], [column[index] for column in columns])
            except Excluded as reason:
                self.excluded[str(reason)] += 1
            else:
                yield JudgedAllele(change=change, truth=truth, scores=scores)

    def _check_chromosome(self, record: Record) -> None:
        chrom = self.reference.match(record.chrom) or record.chrom
        if self.chromosomes and chrom not in self.chromosomes:
            raise Excluded("on another chromosome")

    def _scores(self, status: str, scores: list[float]) -> tuple[float, ...]:
        if self.fields:
            check_scored(status, self.fields, scores)
        return tuple(scores)


def locate_change(reference: Reference, chrom: str, pos1: int, ref: str, alt: str) -> Change:
    """Return the change that an allele of a file makes.

    Raises:
        Excluded: REF or ALT is no plain sequence, or REF is not what the reference has.
    """
    status = more_severe(classify_text(ref), classify_text(alt))
    if status is not Status.OK:
        raise Excluded(f"no plain sequence ({status})")
    contig = reference.match(chrom)
    pos0, end0 = pos1 - 1, pos1 - 1 + len(ref)
    if contig is None or pos0 < 0 or end0 > reference.contigs[contig]:
        raise Excluded(f"not on the reference ({Status.OFF_REFERENCE})")
    if not reference_matches(reference.fetch(contig, pos0, end0), ref):
        raise Excluded(f"REF differs from the reference ({Status.REF_MISMATCH})")
    return change_of(Allele(chrom=contig, pos0=pos0, ref=ref.upper(), alt=alt.upper()))


def check_scored(status: str, fields: Sequence[str], scores: Sequence[float]) -> None:
    """Check that an allele has all its scores.

    Raises:
        Excluded: its status says that it was not scored, or a score is missing.
    """
    if status not in (MISSING, Status.OK, Status.NOT_APPLICABLE):
        raise Excluded(f"not scored ({status})")
    for field, score in zip(fields, scores, strict=True):
        if math.isnan(score):
            raise Excluded(f"no {field}")


def _check(read: JudgedAlleles, truth: Labels | Effects, source: str) -> None:
    classes = {case.truth for case in read.cases}
    if len(classes) == 2 or (classes and isinstance(truth, Effects)):
        return
    reasons = "".join(f"\n{count} excluded: {reason}" for reason, count in read.excluded.items())
    if isinstance(truth, Effects):
        raise InputError(f"{source}\nnone of {read.alleles} alleles can be judged by {truth.field}{reasons}")
    positive, negative = (sum(case.truth == one for case in read.cases) for one in (POSITIVE, NEGATIVE))
    seen = ", ".join(f"{text} ({count})" for text, count in truth.seen.most_common(_SHOWN_LABELS))
    raise InputError(
        f"{source}\nof {read.alleles} alleles {positive} are positive and {negative} negative, "
        f"expected some of each{reasons}",
        hint=f"the most frequent values of {truth.field}: {seen}" if seen else None,
    )
