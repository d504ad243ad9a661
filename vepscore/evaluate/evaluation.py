"""Evaluate the scores of a VCF: read its alleles, compute metrics by stratum, and write them as tab-separated text.

If positives and negatives of a stratum have unequal fractions of indels, a score that is larger for indels than for
SNVs separates the classes by the kind of variant alone.
"""

import dataclasses
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import fisher_exact

import vepscore
from vepscore.evaluate.changes import Change, Kind
from vepscore.evaluate.judged_alleles import JudgedAlleles, read_judged_alleles
from vepscore.evaluate.metrics import Estimate, Metric, auprc, auroc, estimate, sign_accuracy, spearman
from vepscore.evaluate.predictors import Predictor, distance_predictor, pwm_predictor, score_predictors
from vepscore.evaluate.strata import SpliceLocation, SpliceLocator, Stratum
from vepscore.evaluate.truth import POSITIVE, Effects, Labels
from vepscore.genome.annotation import Annotation
from vepscore.genome.fasta import Reference
from vepscore.io.fields import format_float
from vepscore.io.header import provenance_lines

log = logging.getLogger(__name__)

ALL = "all"
PARTS = (Kind.SNV, Kind.INDEL)  # kinds of change with their own rows in each stratum
COLUMNS = ("predictor", "stratum", "metric", "n", "n_positive", "value", "low", "high")
MAX_P = 0.01  # of Fisher's exact test, two-sided, to exclude differences by chance
MIN_DIFFERENCE = 0.05  # between fractions of indels; a smaller one hardly changes a metric


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """Inputs and settings of one evaluation."""

    source: str  # scored VCF or BCF; "-" is standard input
    reference: Path
    genes: Path
    truth: Labels | Effects
    scores: tuple[str, ...] | None  # INFO fields; None: VS_SPLICE if the header has it
    chromosomes: tuple[str, ...]  # judge only alleles on these; empty: all
    within_bp: int  # largest distance from a splice site in two more strata
    pwm_exclude: tuple[str, ...] | None  # chromosomes not to train on; None: those of the alleles
    pwm_fastas: tuple[Path, ...]  # more sequence to train on
    resamples: int  # number of bootstrap resamples, at least 1
    seed: int  # of the bootstrap, at least 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRow:
    """One metric of one predictor in one stratum."""

    predictor: str
    stratum: str
    part_of: str | None  # stratum that this one restricts to a kind of change; None: a whole stratum
    metric: str
    n: int  # alleles
    positive: int | None  # number of positives; None for measured effects
    estimate: Estimate  # NaN if the stratum has too few alleles, or only one class


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The result of an evaluation."""

    read: JudgedAlleles
    rows: tuple[EvaluationRow, ...]  # by stratum, each followed by its parts; metric and predictor
    provenance: dict[str, str]  # key to value


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A metric, and its inputs from predictor and truth."""

    name: str
    metric: Metric
    directed: bool = False  # signed scores, rather than their sizes
    of_sizes: bool = False  # the size of the effect, rather than the effect

    def scores_of(self, predictor: Predictor) -> np.ndarray | None:
        """Return the scores (N,) that the metric takes; None if the predictor has no direction."""
        return predictor.signed if self.directed else predictor.sizes


OF_LABELS = (Measure(name="auroc", metric=auroc), Measure(name="auprc", metric=auprc))
OF_EFFECTS = (
    Measure(name="spearman", metric=spearman, directed=True),
    Measure(name="spearman_of_sizes", metric=spearman, of_sizes=True),
    Measure(name="sign_accuracy", metric=sign_accuracy, directed=True),
)


def evaluate(options: EvaluationOptions) -> Evaluation:
    """Evaluate the scores of a VCF, and the baselines, against its labels or effects.

    Raises:
        VepscoreError: a file cannot be read, or no allele can be judged.
    """
    references = [Reference(path) for path in (options.reference, *options.pwm_fastas)]
    annotation = Annotation.from_gtf(options.genes)
    read = read_judged_alleles(
        options.source,
        options.truth,
        references[0],
        annotation=annotation,
        scores=options.scores,
        chromosomes=options.chromosomes,
    )
    finder = SpliceLocator(annotation)
    places = [finder.locate(case.change) for case in read.cases]
    evaluated = tuple(dict.fromkeys(case.change.chrom for case in read.cases))
    excluded = evaluated if options.pwm_exclude is None else options.pwm_exclude
    pwm = pwm_predictor(read, annotation, references, excluded)
    predictors = [*score_predictors(read), distance_predictor(places), *([pwm] if pwm else [])]
    strata = choose_strata(places, options.within_bp)
    truth = np.array([case.truth for case in read.cases])
    imbalances = check_indels(options.truth, [case.change for case in read.cases], truth, strata)
    return Evaluation(
        read=read,
        rows=tuple(_rows(options, read, predictors, strata)),
        provenance=_provenance(options, read, predictors, imbalances),
    )


def choose_strata(places: Sequence[SpliceLocation], within_bp: int) -> dict[str, np.ndarray]:
    """Return name to bool (N,): all, near a splice site, the same without canonical bases, and each `Stratum`."""
    stratum = np.array([place.stratum for place in places])
    near = np.array([place.distance_bp for place in places]) <= within_bp
    return {
        ALL: np.ones(len(places), bool),
        f"within_{within_bp}": near,
        f"within_{within_bp}_noncanonical": near & (stratum != Stratum.CANONICAL),
        **{str(name): stratum == name for name in Stratum},
    }


def find_imbalances(
    indel: np.ndarray, positive: np.ndarray, strata: Mapping[str, np.ndarray]
) -> dict[str, str]:
    """Return the strata, each in words, whose fractions of indels differ by MIN_DIFFERENCE with a p-value below MAX_P.

    Args:
        indel: bool (N,), whether each allele is an indel.
        positive: bool (N,), whether each allele is positive; the others are negative.
        strata: name to bool (N,), the alleles in each stratum. A stratum without both classes is skipped.
    """
    found = {}
    for name, inside in strata.items():
        positives, negatives = indel[inside & positive], indel[inside & ~positive]
        if not len(positives) or not len(negatives):
            continue
        counts = [[chosen.sum(), (~chosen).sum()] for chosen in (positives, negatives)]
        difference = abs(float(positives.mean()) - float(negatives.mean()))
        if difference >= MIN_DIFFERENCE and fisher_exact(counts).pvalue < MAX_P:
            fractions = f"{positives.mean():.1%} of the positives and {negatives.mean():.1%} of the negatives"
            found[name] = f"{name}: indels are {fractions}"
    return found


def check_indels(
    rule: Labels | Effects, changes: Sequence[Change], truth: np.ndarray, strata: Mapping[str, np.ndarray]
) -> Sequence[str]:
    """Return the strata in which the classes have unequal fractions of indels, in words, and warn about them.

    Args:
        rule: how the truth was read; effects have no classes.
        changes: the alleles.
        truth: (N,), their classes.
        strata: name to bool (N,), the alleles in each stratum.
    """
    if not isinstance(rule, Labels):
        return []
    indel = np.array([change.kind is Kind.INDEL for change in changes])
    found = list(find_imbalances(indel, truth == POSITIVE, strata).values())
    if found:
        log.warning(
            "positives and negatives have unequal fractions of indels, which affects metrics over both kinds: "
            "use the rows of SNVs and of indels\n%s",
            "\n".join(f"  {text}" for text in found),
        )
    return found


def _rows(
    options: EvaluationOptions,
    read: JudgedAlleles,
    predictors: Sequence[Predictor],
    strata: Mapping[str, np.ndarray],
) -> Iterator[EvaluationRow]:
    kinds = np.array([case.change.kind for case in read.cases])
    for whole, inside in strata.items():
        parts = {f"{whole}_{kind}": inside & (kinds == kind) for kind in PARTS}
        for name, part in {whole: inside, **parts}.items():
            part_of = None if name == whole else whole
            yield from _stratum_rows(options, read, predictors, name, part_of, part)


def _stratum_rows(
    options: EvaluationOptions,
    read: JudgedAlleles,
    predictors: Sequence[Predictor],
    name: str,
    part_of: str | None,
    inside: np.ndarray,
) -> Iterator[EvaluationRow]:
    """Yield the rows of one stratum; `inside` is bool (N,)."""
    truth = np.array([case.truth for case in read.cases])[inside]
    labelled = isinstance(options.truth, Labels)
    classes = truth.astype(int) if labelled else np.zeros(len(truth), int)
    for measure in OF_LABELS if labelled else OF_EFFECTS:
        for predictor in predictors:
            scores = measure.scores_of(predictor)
            if scores is None:
                continue
            found = estimate(
                measure.metric,
                scores[inside],
                np.abs(truth) if measure.of_sizes else truth,
                classes,
                resamples=options.resamples,
                seed=options.seed,
            )
            yield EvaluationRow(
                predictor=predictor.name,
                stratum=name,
                part_of=part_of,
                metric=measure.name,
                n=len(truth),
                positive=int(classes.sum()) if labelled else None,
                estimate=found,
            )


def _provenance(
    options: EvaluationOptions,
    read: JudgedAlleles,
    predictors: Sequence[Predictor],
    imbalances: Sequence[str],
) -> dict[str, str]:
    """Return the table's key-value lines, which depend only on inputs and options."""
    reasons = "; ".join(f"{count} {reason}" for reason, count in read.excluded.items())
    return {
        "evaluateVersion": vepscore.__version__,
        "evaluateTruth": options.truth.describe(),
        "evaluateAlleles": f"{len(read.cases)} of {read.alleles}",
        "evaluateExcluded": reasons or "none",
        "evaluateBootstrap": f"{options.resamples} resamples within classes, seed {options.seed}, 95% interval",
        **({"evaluateUnequalIndels": "; ".join(imbalances)} if imbalances else {}),
        **{f"evaluate{each.name.capitalize()}": each.remark for each in predictors if each.remark},
    }


def tsv_lines(evaluation: Evaluation) -> Iterator[str]:
    """Yield `##key=value` lines, column names, and a row per metric, without line ends; missing values are empty."""
    yield from provenance_lines(evaluation.provenance)
    yield from evaluation.read.provenance
    yield "\t".join(COLUMNS)
    for row in evaluation.rows:
        yield "\t".join(row_cells(row))


def distinct_rows(evaluation: Evaluation) -> Iterator[EvaluationRow]:
    """Yield the rows without parts of a stratum that have no alleles, or all of the stratum's."""
    alleles = {row.stratum: row.n for row in evaluation.rows}
    for row in evaluation.rows:
        if row.part_of is None or 0 < row.n < alleles[row.part_of]:
            yield row


def row_cells(row: EvaluationRow) -> tuple[str, ...]:
    """Return a row's cells in the order of COLUMNS."""
    positive = "" if row.positive is None else str(row.positive)
    values = (row.estimate.value, row.estimate.low, row.estimate.high)
    numbers = (format_float(value, missing="") for value in values)
    return row.predictor, row.stratum, row.metric, str(row.n), positive, *numbers
