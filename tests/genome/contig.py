"""A reference genome held in memory."""


class Contig:
    """A reference of one contig, held in memory."""

    def __init__(self, bases: bytes) -> None:
        self.bases = bases

    def fetch(self, chrom: str, start0: int, end0: int) -> bytes:
        inside = self.bases[max(start0, 0) : max(end0, 0)]
        before = b"N" * max(0, min(0, end0) - start0)
        return (before + inside).ljust(end0 - start0, b"N")
