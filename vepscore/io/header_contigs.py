"""What a VCF's header says of contigs and of the assembly."""

from pathlib import Path

from vepscore.genome.consistency import ContigSource
from vepscore.io.header import VcfHeader
from vepscore.io.meta_lines import parse_meta_line


def contigs_of_header(header: VcfHeader) -> ContigSource:
    """Return the declared contigs, their lengths where they are given, and what is said of the assembly."""
    declared = _definitions(header)
    lengths = {name: fields.get("length", "") for name, fields in declared.items()}
    return ContigSource(
        file=f"header of {Path(header.source).name}",
        contigs=tuple(declared),
        lengths={name: int(text) for name, text in lengths.items() if text.isascii() and text.isdigit()},
        stated=", ".join(_statements(header)),
    )


def stated_assembly(header: VcfHeader) -> str:
    """Return the assembly that the contig lines name, or else `##assembly`; "" where neither does."""
    for fields in _definitions(header).values():
        if fields.get("assembly"):
            return fields["assembly"]
    return _meta_value(header, "assembly")


def _definitions(header: VcfHeader) -> dict[str, dict[str, str]]:
    """Return the keys and values of each declared contig; of two lines for one, the first counts."""
    found: dict[str, dict[str, str]] = {}
    for line in header.meta:
        fields = parse_meta_line(line, "contig")
        if fields is not None and fields.get("ID"):
            found.setdefault(fields["ID"], fields)
    return found


def _statements(header: VcfHeader) -> list[str]:
    values = {"assembly": stated_assembly(header), "reference": _meta_value(header, "reference")}
    return [f"{key}={value}" for key, value in values.items() if value]


def _meta_value(header: VcfHeader, key: str) -> str:
    lines = (line.removeprefix(f"##{key}=") for line in header.meta if line.startswith(f"##{key}="))
    return next(lines, "")
