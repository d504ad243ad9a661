"""The contigs and the assembly that a VCF header states."""

from pathlib import Path

from vepscore.genome.consistency import ContigSource
from vepscore.io.header import VcfHeader


def contigs_of_header(header: VcfHeader) -> ContigSource:
    """Return the declared contigs, their lengths if given, and the stated assembly."""
    declared = header.definitions("contig")
    lengths = {name: fields.get("length", "") for name, fields in declared.items()}
    return ContigSource(
        file=f"header of {Path(header.source).name}",
        contigs=tuple(declared),
        lengths={name: int(text) for name, text in lengths.items() if text.isascii() and text.isdigit()},
        stated=", ".join(_statements(header)),
    )


def stated_assembly(header: VcfHeader) -> str:
    """Return the assembly that the contig lines name, or else `##assembly`; "" if there is neither."""
    for fields in header.definitions("contig").values():
        if fields.get("assembly"):
            return fields["assembly"]
    return _meta_value(header, "assembly")


def _statements(header: VcfHeader) -> list[str]:
    values = {"assembly": stated_assembly(header), "reference": _meta_value(header, "reference")}
    return [f"{key}={value}" for key, value in values.items() if value]


def _meta_value(header: VcfHeader, key: str) -> str:
    lines = (line.removeprefix(f"##{key}=") for line in header.meta if line.startswith(f"##{key}="))
    return next(lines, "")
