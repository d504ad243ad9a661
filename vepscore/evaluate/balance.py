"""Strata in which positives and negatives hold unequal fractions of indels.

A score that is larger for indels than for SNVs, whatever they do, then ranks the classes apart by their kind alone.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
from scipy.stats import fisher_exact

MAX_P = 0.01  # of Fisher's exact test, two-sided; a difference by chance is no imbalance
MIN_DIFFERENCE = 0.05  # between the fractions; a smaller one hardly moves a figure, however significant


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Imbalance:
    """A stratum whose classes hold unequal fractions of indels."""

    stratum: str
    in_positives: float  # fraction of the positives that are indels, 0 to 1
    in_negatives: float  # the same of the negatives

    def __str__(self) -> str:
        """Return the stratum and both fractions as text."""
        return (
            f"{self.stratum}: indels are {self.in_positives:.1%} of the positives "
            f"and {self.in_negatives:.1%} of the negatives"
        )


def find_imbalances(
    indel: np.ndarray, positive: np.ndarray, strata: Mapping[str, np.ndarray]
) -> list[Imbalance]:
    """Return the strata in which the fractions differ by at least MIN_DIFFERENCE, with a p-value below MAX_P.

    Args:
        indel: bool (N,), the alleles that are indels.
        positive: bool (N,), those of the positive class; the others are negative.
        strata: name to bool (N,), the alleles in each stratum. One without both classes is never unequal.
    """
    found = (_measure(name, indel[inside], positive[inside]) for name, inside in strata.items())
    return [imbalance for imbalance in found if imbalance is not None]


def _measure(stratum: str, indel: np.ndarray, positive: np.ndarray) -> Imbalance | None:
    if positive.all() or not positive.any():
        return None
    in_positives, in_negatives = float(indel[positive].mean()), float(indel[~positive].mean())
    counts = [[np.sum(indel & chosen), np.sum(~indel & chosen)] for chosen in (positive, ~positive)]
    if abs(in_positives - in_negatives) < MIN_DIFFERENCE or fisher_exact(counts).pvalue >= MAX_P:
        return None
    return Imbalance(stratum=stratum, in_positives=in_positives, in_negatives=in_negatives)
