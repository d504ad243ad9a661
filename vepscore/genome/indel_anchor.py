"""Where the windows of an indel's alternate allele are anchored; see `vepscore.genome.alignment`."""

import enum


class IndelAnchor(enum.StrEnum):
    """In which windows the alternate allele of an insertion or deletion is predicted."""

    LEFT = "left"  # in one that starts where the reference's window starts
    BOTH = "both"  # also in one that ends where the reference's window ends
