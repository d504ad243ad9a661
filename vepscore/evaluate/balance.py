"""Find strata in which positives and negatives have unequal fractions of indels.

In such a stratum, a score that is larger for indels than for SNVs separates the classes by the kind of variant alone.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
from scipy.stats import fisher_exact

MAX_P = 0.01  # of Fisher's exact test, two-sided, to exclude differences by chance
MIN_DIFFERENCE = 0.05  # between the fractions; a smaller one hardly changes a metric


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Imbalance:
    """A stratum whose classes have unequal fractions of indels."""

    stratum: str
    in_positives: float  # fraction of the positives that are indels, 0 to 1
    in_negatives: float  # fraction of the negatives that are indels

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
        indel: bool (N,), whether each allele is an indel.
        positive: bool (N,), whether each allele is positive; the others are negative.
        strata: name to bool (N,), the alleles in each stratum. A stratum without both classes is skipped.
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
