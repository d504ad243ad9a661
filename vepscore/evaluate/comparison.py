"""Compare the scores of several files on the alleles that all of them score, by kind of variant."""

import collections
import dataclasses
import enum
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

import vepscore
from vepscore.errors import InputError
from vepscore.evaluate.changes import Change
from vepscore.evaluate.evaluation import ALL, OF_EFFECTS, OF_LABELS, Measure, check_indels
from vepscore.evaluate.judged_alleles import read_judged_alleles
from vepscore.evaluate.metrics import NO_ESTIMATE, Estimate, estimate, estimate_difference
from vepscore.evaluate.predictors import Predictor, score_predictor
from vepscore.evaluate.scored_file import ScoredFile, is_allele_table, read_scored_file
from vepscore.evaluate.truth import Effects, Labels
from vepscore.genome.fasta import Reference
from vepscore.io.fields import format_float
from vepscore.io.header import provenance_lines


class VariantKind(enum.StrEnum):
    """Kind of a variant by the lengths of its change; ALL is every one."""

    ALL = "all"
    SNV = "snv"
    INSERTION = "insertion"  # longer than the reference
    DELETION = "deletion"  # shorter
    MNV = "mnv"  # several bases replaced by as many

    @classmethod
    def of(cls, change: Change) -> "VariantKind":
        """Return the kind of a change."""
        if change.shift_bp:
            return cls.INSERTION if change.shift_bp > 0 else cls.DELETION
        return cls.SNV if len(change.alt) == 1 else cls.MNV


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComparisonOptions:
    """Inputs and settings of a comparison."""

    sources: tuple[str, ...]  # scored files; the truth is in the first VCF
    reference: Path
    truth: Labels | Effects
    scores: tuple[str, ...] | None  # fields; None: the first of those that are known
    chromosomes: tuple[str, ...]  # compare only alleles on these; empty: all
    resamples: int  # number of bootstrap resamples, at least 1
    seed: int  # of the bootstrap, at least 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MetricPair:
    """A metric of a score, and its difference from the first score."""

    value: Estimate
    difference: Estimate  # NaN for the first score itself


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonRow:
    """The metrics of one score of a file on the variants of one kind."""

    file: str
    score: str
    kind: VariantKind
    n: int  # alleles
    positive: int | None  # number of positives; None for measured effects
    metrics: tuple[MetricPair, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """The result of a comparison."""

    metrics: tuple[str, ...]
    rows: tuple[ComparisonRow, ...]  # by kind, then in the order of the files
    alleles: int  # in the file with the truth
    compared: int
    excluded: dict[str, int]  # reason → alleles, most first
    provenance: dict[str, str]


def compare(options: ComparisonOptions) -> Comparison:
    """Compare the scores of files against the labels or effects of the first VCF.

    Raises:
        VepscoreError: a file cannot be read, or no allele has a truth and all scores.
    """
    reference = Reference(options.reference)
    truths, excluded = _read_truths(options, reference)
    alleles = len(truths) + excluded.total()
    names = _short_names(options.sources)
    files = [read_scored_file(source, reference, options.scores) for source in options.sources]
    compared = [change for change in truths if not _exclude(change, names, files, excluded)]
    truth = np.array([truths[change] for change in compared])
    _check_truth(options.truth, truth, excluded)
    imbalances = check_indels(options.truth, compared, truth, {ALL: np.ones(len(truth), bool)})
    measures = OF_LABELS if isinstance(options.truth, Labels) else OF_EFFECTS
    found = dict(excluded.most_common())
    return Comparison(
        metrics=tuple(measure.name for measure in measures),
        rows=tuple(_rows(options, compared, truth, _predictors(names, files, compared), measures)),
        alleles=alleles,
        compared=len(compared),
        excluded=found,
        provenance=_provenance(options, alleles, len(compared), found, imbalances),
    )


def _read_truths(
    options: ComparisonOptions, reference: Reference
) -> tuple[dict[Change, float], collections.Counter[str]]:
    """Return the truth of each allele that has one, and how many have none by reason."""
    read = read_judged_alleles(
        _truth_file(options.sources), options.truth, reference, scores=(), chromosomes=options.chromosomes
    )
    excluded = collections.Counter(read.excluded)
    truths: dict[Change, float] = {}
    for case in read.cases:
        if case.change in truths:
            excluded["in an earlier record"] += 1
        else:
            truths[case.change] = case.truth
    return truths, excluded


def _check_truth(rule: Labels | Effects, truth: np.ndarray, excluded: collections.Counter[str]) -> None:
    classes = 2 if isinstance(rule, Labels) else 1
    if len(set(truth)) < classes:
        reasons = "".join(f"\n{count} excluded: {reason}" for reason, count in excluded.most_common())
        raise InputError(
            f"{len(truth)} alleles have a truth and a score in each of the files, expected some of each class{reasons}"
            if classes == 2
            else f"no allele has a truth and a score in each of the files{reasons}"
        )


def _truth_file(sources: Sequence[str]) -> str:
    for source in sources:
        if not is_allele_table(source):
            return source
    raise InputError("all files are tables, which have no truth", hint="pass a VCF with the labels too")


def _short_names(sources: Sequence[str]) -> list[str]:
    names = [Path(source).name for source in sources]
    return names if len(set(names)) == len(names) else list(sources)


def _exclude(
    change: Change, names: Sequence[str], files: Sequence[ScoredFile], excluded: collections.Counter[str]
) -> bool:
    """Return whether a file does not score an allele, and count it for the first such file."""
    for name, file in zip(names, files, strict=True):
        if change not in file.scores:
            excluded[f"{name}: {file.reason(change)}"] += 1
            return True
    return False


def _predictors(
    names: Sequence[str], files: Sequence[ScoredFile], changes: Sequence[Change]
) -> list[tuple[str, Predictor]]:
    """Return the scores of all files with the names of the files."""
    return [
        (name, score_predictor(field, np.array([file.scores[change][index] for change in changes])))
        for name, file in zip(names, files, strict=True)
        for index, field in enumerate(file.fields)
    ]


def _rows(
    options: ComparisonOptions,
    changes: Sequence[Change],
    truth: np.ndarray,
    predictors: Sequence[tuple[str, Predictor]],
    measures: Sequence[Measure],
) -> Iterator[ComparisonRow]:
    labelled = isinstance(options.truth, Labels)
    kinds = np.array([VariantKind.of(change) for change in changes])
    for kind in VariantKind:
        inside = (kinds == kind) | (kind is VariantKind.ALL)
        classes = truth[inside].astype(int) if labelled else np.zeros(inside.sum(), int)
        for file, predictor in predictors:
            first = None if predictor is predictors[0][1] else predictors[0][1]
            yield ComparisonRow(
                file=file,
                score=predictor.name,
                kind=kind,
                n=len(classes),
                positive=int(classes.sum()) if labelled else None,
                metrics=tuple(
                    _metric_pair(options, measure, predictor, first, truth, inside, classes)
                    for measure in measures
                ),
            )


def _metric_pair(
    options: ComparisonOptions,
    measure: Measure,
    predictor: Predictor,
    first: Predictor | None,
    truth: np.ndarray,
    inside: np.ndarray,
    classes: np.ndarray,
) -> MetricPair:
    """Return one metric of the alleles `inside`, bool (N,)."""
    bootstrap = {"resamples": options.resamples, "seed": options.seed}
    target = np.abs(truth[inside]) if measure.of_sizes else truth[inside]
    scores = measure.scores_of(predictor)
    if scores is None:
        return MetricPair(value=NO_ESTIMATE, difference=NO_ESTIMATE)
    value = estimate(measure.metric, scores[inside], target, classes, **bootstrap)
    base = None if first is None else measure.scores_of(first)
    if base is None:
        return MetricPair(value=value, difference=NO_ESTIMATE)
    difference = estimate_difference(
        measure.metric, scores[inside], base[inside], target, classes, **bootstrap
    )
    return MetricPair(value=value, difference=difference)


def _provenance(
    options: ComparisonOptions,
    alleles: int,
    compared: int,
    excluded: dict[str, int],
    imbalances: Sequence[str],
) -> dict[str, str]:
    """Return the table's key-value lines, which depend only on inputs and options."""
    reasons = "; ".join(f"{count} {reason}" for reason, count in excluded.items())
    return {
        "evaluateVersion": vepscore.__version__,
        "evaluateTruth": options.truth.describe(),
        "evaluateFiles": ", ".join(_short_names(options.sources)),
        "evaluateAlleles": f"{compared} of {alleles}",
        "evaluateExcluded": reasons or "none",
        "evaluateBootstrap": f"{options.resamples} resamples within classes, the same for all files, seed "
        f"{options.seed}, 95% interval",
        **({"evaluateUnequalIndels": "; ".join(imbalances)} if imbalances else {}),
    }


def comparison_lines(comparison: Comparison) -> Iterator[str]:
    """Yield `##key=value` lines, column names, and a row per score and kind; missing values are empty."""
    yield from provenance_lines(comparison.provenance)
    parts = ("", "_low", "_high", "_difference", "_difference_low", "_difference_high")
    columns = [f"{metric}{part}" for metric in comparison.metrics for part in parts]
    yield "\t".join(["file", "score", "kind", "n", "n_positive", *columns])
    for row in comparison.rows:
        positive = "" if row.positive is None else str(row.positive)
        numbers = [
            format_float(number, missing="")
            for pair in row.metrics
            for found in (pair.value, pair.difference)
            for number in (found.value, found.low, found.high)
        ]
        yield "\t".join([row.file, row.score, str(row.kind), str(row.n), positive, *numbers])


def interval_text(found: Estimate, form: str = ".3f") -> str:
    """Return a value and its interval for people; "" if there is none."""
    if math.isnan(found.value):
        return ""
    text = format(found.value, form)
    return text if math.isnan(found.low) else f"{text} ({found.low:.2f}..{found.high:.2f})"
