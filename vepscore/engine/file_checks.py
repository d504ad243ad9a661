"""Compare a job's input files before scoring: warn if they do not match, and log contigs that are named differently."""

import logging

from vepscore.engine.preparer import AllelePreparer
from vepscore.genome.consistency import (
    BARE,
    NOT_FOUND,
    FileWarning,
    check_files,
    check_record_contigs,
    log_warnings,
    shorten_list,
)
from vepscore.io.header import VcfHeader, contigs_of_header
from vepscore.io.records import Scan

log = logging.getLogger(__name__)


def compare_files(header: VcfHeader, preparer: AllelePreparer, scan: Scan | None) -> list[FileWarning]:
    """Compare the VCF, the reference and the annotation; log each warning, and the names that differ.

    `scan` has the contigs with records; None if they are not known beforehand.
    """
    reference, annotation = preparer.reference, preparer.annotation
    found = check_files(header=contigs_of_header(header), reference=reference, annotation=annotation)
    if scan is not None:
        found += check_record_contigs(scan.counts, unit="records", reference=reference)
        if not any(warning.kind == NOT_FOUND for warning in found):
            found += log_warnings([_find_bare_contigs(preparer, scan)])
    _report_names(preparer)
    return found


def _find_bare_contigs(preparer: AllelePreparer, scan: Scan) -> FileWarning | None:
    """Return a warning about contigs that have records and are on the reference, but have no genes."""
    reference, annotation = preparer.reference, preparer.annotation
    if annotation is None:
        return None
    matches = [(name, reference.match(name)) for name in scan.counts]
    bare = [name for name, match in matches if match is not None and annotation.contigs.match(match) is None]
    if not bare:
        return None
    message = f"the annotation has no genes on {shorten_list(bare)}: no scores of genes there"
    return FileWarning(BARE, message)


def _report_names(preparer: AllelePreparer) -> None:
    """Log which files name contigs differently, with the first such contig."""
    files = {"VCF's %s is the reference's %s": preparer.reference.names}
    if preparer.annotation is not None:
        files["reference's %s is the annotation's %s"] = preparer.annotation.contigs
    for text, names in files.items():
        if names.aliased:
            more = f" (and {len(names.aliased) - 1} more)" if len(names.aliased) > 1 else ""
            log.info(f"contigs: the {text}%s", *min(names.aliased), more)
