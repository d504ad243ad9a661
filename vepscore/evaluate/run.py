"""One evaluation: from a scored VCF to a table of figures."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from vepscore.evaluate.intake import Cases, read_cases
from vepscore.evaluate.metrics import NO_ESTIMATE, Estimate, Metric, auprc, auroc, estimate, sign_accuracy, spearman
from vepscore.evaluate.predictors import Predictor, distance_predictor, pwm_predictor, score_predictors
from vepscore.evaluate.strata import Place, Places, Stratum
from vepscore.evaluate.truth import Effects, Labels
from vepscore.genome.annotation import Annotation
from vepscore.genome.fasta import Reference

ALL = "all"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What one evaluation is asked for."""

    source: str  # scored VCF or BCF; "-" is standard input
    reference: Path
    genes: Path
    truth: Labels | Effects
    scores: tuple[str, ...] | None  # INFO fields; None: VS_SPLICE where there is one
    chromosomes: tuple[str, ...]  # only these; all where empty
    within_bp: int  # of a splice site, for two more strata
    pwm_exclude: tuple[str, ...] | None  # chromosomes not to train on; None: those of the cases
    pwm_fastas: tuple[Path, ...]  # more sequence to train on
    resamples: int  # of the bootstrap
    seed: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure."""

    predictor: str
    stratum: str
    metric: str
    n: int  # alleles
    positive: int | None  # of which are positive; None for measured effects
    estimate: Estimate  # NaN where the stratum has no such figure: too few alleles, or of one class only


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What came out."""

    read: Cases
    rows: tuple[Row, ...]  # by stratum, metric and predictor


def evaluate(options: Options) -> Evaluation:
    """Measures the scores of a VCF, and the baselines, against its labels or effects.

    Raises:
        VepscoreError: a file cannot be read, or no allele can be judged.
    """
    references = [Reference(path) for path in (options.reference, *options.pwm_fastas)]
    annotation = Annotation.from_gtf(options.genes)
    read = read_cases(
        options.source,
        options.truth,
        references[0],
        scores=options.scores,
        chromosomes=options.chromosomes,
    )
    finder = Places(annotation)
    places = [finder.locate(case.change) for case in read.cases]
    excluded = options.pwm_exclude
    if excluded is None:
        excluded = tuple(dict.fromkeys(case.change.chrom for case in read.cases))
    predictors = [*score_predictors(read), distance_predictor(places)]
    pwm = pwm_predictor(read, annotation, references, excluded)
    predictors += [pwm] if pwm else []
    strata = choose_strata(places, options.within_bp)
    return Evaluation(read=read, rows=tuple(_rows(options, read, predictors, strata)))


def choose_strata(places: Sequence[Place], within_bp: int) -> dict[str, np.ndarray]:
    """Name to bool (N,): all, those of `Stratum`, and what is near a splice site, with and without the canonical bases."""
    stratum = np.array([place.stratum for place in places])
    near = np.array([place.distance_bp for place in places]) <= within_bp
    return {
        ALL: np.ones(len(places), bool),
        f"within_{within_bp}": near,
        f"within_{within_bp}_not_canonical": near & (stratum != Stratum.CANONICAL),
        **{str(name): stratum == name for name in Stratum},
    }


def _rows(
    options: Options, read: Cases, predictors: Sequence[Predictor], strata: Mapping[str, np.ndarray]
) -> Iterator[Row]:
    truth = np.array([case.truth for case in read.cases])
    labelled = isinstance(options.truth, Labels)
    classes = truth.astype(int) if labelled else np.zeros(len(truth), int)
    for name, members in strata.items():
        inside = np.flatnonzero(members)
        for metric, (measure, signed, of_sizes) in (LABEL_METRICS if labelled else EFFECT_METRICS).items():
            for predictor in predictors:
                values = predictor.signed if signed else predictor.sizes
                if values is None:
                    continue
                target = np.abs(truth) if of_sizes else truth
                found = NO_ESTIMATE
                if len(inside):
                    found = estimate(
                        measure,
                        values[inside],
                        target[inside],
                        classes[inside],
                        resamples=options.resamples,
                        seed=options.seed,
                    )
                yield Row(
                    predictor=predictor.name,
                    stratum=name,
                    metric=metric,
                    n=len(inside),
                    positive=int(truth[inside].sum()) if labelled else None,
                    estimate=found,
                )


# Name → metric, whether it takes signed scores, and whether it is compared with the size of the effect.
LABEL_METRICS: dict[str, tuple[Metric, bool, bool]] = {
    "auroc": (auroc, False, False),
    "auprc": (auprc, False, False),
}
EFFECT_METRICS: dict[str, tuple[Metric, bool, bool]] = {
    "spearman": (spearman, True, False),
    "spearman_of_sizes": (spearman, False, True),
    "sign_accuracy": (sign_accuracy, True, False),
}
