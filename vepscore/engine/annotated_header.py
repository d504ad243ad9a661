"""The header of a job's annotated VCF, with the reference's contigs under the names that the input uses."""

import re
from collections.abc import Mapping

from vepscore.genome.fasta import Reference
from vepscore.io.header import VcfHeader
from vepscore.io.records import Scan
from vepscore.io.run_metadata import RunMetadata

_CHROMOSOME = re.compile(r"(chr)?(\d{1,2}|[XYWZM]|MT)")


def annotate_header(
    header: VcfHeader,
    reference: Reference,
    scan: Scan | None,
    metadata: RunMetadata,
    *,
    overwrite: bool,
    ranked: bool,
) -> VcfHeader:
    """Return the input's header with our fields, the run's metadata, and missing contigs.

    Args:
        header: of the input.
        reference: has the contigs.
        scan: the contigs that records are on; None if they are not known beforehand.
        metadata: of the run.
        overwrite: replace the annotation of an earlier run.
        ranked: the run has background quantiles.

    Raises:
        InputError: the input is annotated already, and `overwrite` is false.
    """
    used = dict.fromkeys([*header.declared("contig"), *(scan.counts if scan else ())])
    names = {found: name for name in used if (found := reference.match(name)) is not None}
    contigs = {
        names.get(found) or _in_style(found, names): length for found, length in reference.contigs.items()
    }
    return header.with_annotation(
        provenance=metadata.to_header(),
        contigs=contigs,
        body_contigs=scan.counts if scan else None,
        overwrite=overwrite,
        ranked=ranked,
    )


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
