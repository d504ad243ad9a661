"""The anchors of the windows of an indel's alternate allele; see `vepscore.genome.alignment`."""

import enum


class IndelAnchor(enum.StrEnum):
    """The windows in which the alternate allele of an insertion or deletion is predicted."""

    LEFT = "left"  # one window, which starts where the reference's window starts
    BOTH = "both"  # and a second window, which ends where the reference's window ends
