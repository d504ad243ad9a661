"""Read the truth about an allele: a label of two classes, or a measured effect."""

import collections
import dataclasses
import math
import re
from collections.abc import Iterable
from typing import Self

from vepscore.errors import UsageError
from vepscore.io.fields import MISSING

POSITIVE, NEGATIVE = 1.0, 0.0
_SEPARATORS = re.compile(r"[,|/&]")
IGNORED_TERMS = ("not_provided", "other")


class Excluded(Exception):
    """An allele is excluded; its text is the reason, equal for all alleles excluded for it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Read two classes from the words of a field.

    A text is one or more terms, separated by comma, `|`, `/` or `&`; case, spaces and outer underscores do not count.
    It is positive if at least one term is positive and all others are positive or ignored; negative likewise. A text
    with terms of both classes, or with any other term, has no label.
    """

    field: str
    positive: frozenset[str]  # normalized terms
    negative: frozenset[str]
    ignored: frozenset[str]
    seen: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter, compare=False)

    @classmethod
    def parse(cls, field: str, positive: str, negative: str, ignored: str = ",".join(IGNORED_TERMS)) -> Self:
        """Read lists of terms, separated by commas. A term of a class is not ignored.

        Raises:
            UsageError: a class has no terms, or the two share one.
        """
        classes = {"--positive": _terms(positive.split(",")), "--negative": _terms(negative.split(","))}
        for option, terms in classes.items():
            if not terms:
                raise UsageError(
                    f"{option} has no values", hint=f"give values of {field}, separated by commas"
                )
        yes, no = classes.values()
        if yes & no:
            raise UsageError(f"{', '.join(sorted(yes & no))}\nis both --positive and --negative")
        return cls(field=field, positive=yes, negative=no, ignored=_terms(ignored.split(",")) - yes - no)

    def describe(self) -> str:
        """Return the rule in one line."""
        classes = {"positive": self.positive, "negative": self.negative, "ignored": self.ignored}
        return "; ".join(
            [self.field, *(f"{name} {','.join(sorted(terms))}" for name, terms in classes.items())]
        )

    def judge(self, text: str) -> float:
        """Return POSITIVE or NEGATIVE.

        Raises:
            Excluded: the text has no label.
        """
        self.seen[text] += 1
        if text == MISSING:
            raise Excluded(f"no {self.field}")
        terms = _terms(_SEPARATORS.split(text)) - self.ignored
        if not terms:
            raise Excluded(f"{self.field} has only values that are ignored")
        if terms <= self.positive:
            return POSITIVE
        if terms <= self.negative:
            return NEGATIVE
        both = terms & self.positive and terms & self.negative
        raise Excluded(f"{self.field} is of both classes" if both else f"{self.field} is of another class")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """Read a measured, signed number from a field."""

    field: str

    def describe(self) -> str:
        """Return the rule in one line."""
        return f"{self.field}; measured"

    def judge(self, text: str) -> float:
        """Return the number.

        Raises:
            Excluded: the text is missing or not finite.
            ValueError: the text is not a number.
        """
        value = math.nan if text == MISSING else float(text)
        if not math.isfinite(value):
            raise Excluded(f"no {self.field}")
        return value


def _terms(texts: Iterable[str]) -> frozenset[str]:
    terms = ("_".join(text.split()).strip("_").casefold() for text in texts)
    return frozenset(term for term in terms if term)
