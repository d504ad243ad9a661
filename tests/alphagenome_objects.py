"""Variants and intervals of the `alphagenome` package if it is installed, else classes with the same attributes."""

import dataclasses

try:
    from alphagenome.data.genome import Interval, Variant
except ImportError:

    @dataclasses.dataclass
    class Variant:  # type: ignore[no-redef]
        """As in alphagenome/data/genome.py: the attributes that vepscore reads, and the properties beside them."""

        chromosome: str
        position: int  # 1-based
        reference_bases: str
        alternate_bases: str
        name: str = ""

        @property
        def start(self) -> int:
            return self.position - 1

        @property
        def end(self) -> int:
            return self.start + len(self.reference_bases)

        def __str__(self) -> str:
            return f"{self.chromosome}:{self.position}:{self.reference_bases}>{self.alternate_bases}"

    @dataclasses.dataclass
    class Interval:  # type: ignore[no-redef]
        """As in alphagenome/data/genome.py: 0-based and half-open."""

        chromosome: str
        start: int
        end: int
        strand: str = "."

        def __str__(self) -> str:
            return f"{self.chromosome}:{self.start}-{self.end}:{self.strand}"


__all__ = ["Interval", "Variant"]
