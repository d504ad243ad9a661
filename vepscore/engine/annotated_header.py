"""The contigs of a job's annotated VCF: those of the reference, under the names that the input uses."""

import re
from collections.abc import Iterable, Mapping

from vepscore.genome.fasta import Reference

_CHROMOSOME = re.compile(r"(chr)?(\d{1,2}|[XYWZM]|MT)")


def name_contigs(reference: Reference, used: Iterable[str]) -> dict[str, int]:
    """Return the lengths of the reference's contigs, by their names in a VCF that uses the names `used`."""
    names = {found: name for name in dict.fromkeys(used) if (found := reference.match(name)) is not None}
    return {
        names.get(found) or _in_style(found, names): length for found, length in reference.contigs.items()
    }


def _in_style(contig: str, names: Mapping[str, str]) -> str:
    """Return a contig of the reference as the VCF would name it, judged by `names`: the reference's → the VCF's."""
    match = _CHROMOSOME.fullmatch(contig)
    if match is None:
        return contig
    prefix, chromosome = match.groups()
    has_chr = any(name == f"chr{found}" for found, name in names.items())
    has_none = any(found == f"chr{name}" for found, name in names.items())
    if has_chr and not prefix:
        return "chrM" if chromosome == "MT" else f"chr{chromosome}"
    if has_none and prefix:
        return "MT" if chromosome == "M" else chromosome
    return contig
