"""Predictors to evaluate: the scores of the VCF, and baselines that need no network."""

import dataclasses
import logging
from collections.abc import Collection, Sequence

import numpy as np

from vepscore.evaluate.judged_alleles import JudgedAlleles
from vepscore.evaluate.pwm import MIN_INTRONS, SiteModel, train_matrices
from vepscore.evaluate.strata import SpliceLocation
from vepscore.genome.annotation import Annotation
from vepscore.genome.fasta import Reference

log = logging.getLogger(__name__)

DISTANCE, PWM = "distance", "pwm"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    """A number for each allele. Axis: N alleles."""

    name: str  # an INFO field, or the name of a baseline
    sizes: np.ndarray  # float64 (N,): size of the predicted effect; only the order counts
    signed: np.ndarray | None  # float64 (N,): with its direction; None if the predictor has none
    remark: str = ""  # how it was made


def score_predictors(read: JudgedAlleles) -> list[Predictor]:
    """Return the scores that were read from the VCF."""
    columns = np.array([case.scores for case in read.cases], float).reshape(len(read.cases), len(read.fields))
    return [score_predictor(name, column) for name, column in zip(read.fields, columns.T, strict=True)]


def distance_predictor(places: Sequence[SpliceLocation]) -> Predictor:
    """Return the negated distance from the nearest annotated splice site."""
    return Predictor(name=DISTANCE, sizes=np.array([-place.distance_bp for place in places]), signed=None)


def pwm_predictor(
    read: JudgedAlleles, annotation: Annotation, references: Sequence[Reference], excluded: Collection[str]
) -> Predictor | None:
    """Return the change by position weight matrices (`vepscore.evaluate.pwm`).

    With too few introns to train on, log a warning and return None.

    Args:
        read: the judged alleles.
        annotation: source of introns to train on, splice sites and genes.
        references: the genome of the alleles first; the others are for training only.
        excluded: chromosomes not to train on.
    """
    training = train_matrices(annotation, references, excluded)
    if not training.matrices:
        log.warning(
            "no baseline %s: %d introns with known sequence outside of %s, expected at least %d; "
            "use --pwm-fasta to add sequence, or --pwm-exclude to exclude fewer chromosomes",
            PWM,
            training.introns,
            ", ".join(sorted(excluded)),
            MIN_INTRONS,
        )
        return None
    remark = f"trained on {training.introns} introns of {', '.join(training.chroms)}"
    log.info("baseline %s: %s", PWM, remark)
    model = SiteModel(training.matrices, annotation, references[0])
    return score_predictor(PWM, np.array([model.score(case.change) for case in read.cases]), remark)


def score_predictor(name: str, values: np.ndarray, remark: str = "") -> Predictor:
    """Return a predictor; it has a direction if any value is negative."""
    signed = values if np.any(values < 0) else None
    return Predictor(name=name, sizes=np.abs(values), signed=signed, remark=remark)
