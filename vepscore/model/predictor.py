"""A predictor runs a network on the windows of alleles, where scorers read.

The engine makes the plans and scores what is read; a predictor decides how much of the network to compute for it. The
dense predictor works with any network (`vepscore.engine.dense`); a family may bring a faster one.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Array, Float, Int

from vepscore.model.allele_plan import AllelePlan
from vepscore.outputs import Output


@runtime_checkable
class Reader(Protocol):
    """The embeddings of an allele's windows, at the bins that were computed: a tree of device arrays."""

    @property
    def width_bp(self) -> int:
        """Width of a window."""

    def read(
        self, network: Any, output: Output, index: Int[Array, "*positions"]
    ) -> Float[Array, "*positions channels"]:
        """Return the embeddings that `output` reads.

        Args:
            network: has the embedders.
            output: the output.
            index: its bins in the window that the network saw. If the allele has two windows, bins of the second one
                follow those of the first. There is one contact map, in which each pair is of either window.
        """


class Readers(NamedTuple):
    """The readers of one allele.

    Attributes:
        reference: of the reference window.
        alternate: of the alternate's windows; the reference's if the allele changes nothing.
        keeps_reference: whether alleles with the same reference window read the same embeddings of it, so that signals
            can be kept from one to the next.
    """

    reference: Reader
    alternate: Reader
    keeps_reference: bool


@runtime_checkable
class Predictor(Protocol):
    """Runs a network on the windows of alleles."""

    def read(self, plans: Sequence[AllelePlan]) -> Iterator[Readers]:
        """Yield the readers of each allele, in order; they can be used until the next ones are taken."""

    def clear_cache(self) -> None:
        """Forget what was computed for earlier windows; compiled programs and memory stay allocated."""
