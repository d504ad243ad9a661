"""Saturation mutagenesis: score every substitution of a region, as a VCF of them. What `vepscore ism` does."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from vepscore.engine.job import Job, resolve_defaults
from vepscore.engine.run_job import JobReport, Observe, run_job
from vepscore.engine.scorer_plugins import list_scorers, load_scorers
from vepscore.engine.summary import COMPOSITE_WEIGHTS
from vepscore.errors import UsageError
from vepscore.genome.cache import cache_dir
from vepscore.genome.fasta import Reference
from vepscore.genome.regions import Region, parse_region
from vepscore.io.fields import COMPOSITE_FIELD
from vepscore.io.figures import SUFFIXES, require_matplotlib
from vepscore.io.output_file import OutputFile
from vepscore.io.saturation_figure import SaturationPicture
from vepscore.io.saturation_table import BASES, SaturationTable
from vepscore.io.streams import output_suffix
from vepscore.options import ALL_SCORERS

MAX_REGION_BP = 5_000
_WIDEST_GRID_BP = 32_768


def grid_for(window_bp: int) -> int:
    """Return the grid of window starts, in bp, with which a region's substitutions share their windows."""
    return min(_WIDEST_GRID_BP, window_bp // 4)


def run_saturation(
    job: Job,
    place: str,
    table: Path,
    *,
    picture: Path | None = None,
    by: str | None = None,
    align_bp: int | None = None,
    observe: Observe = lambda counts, total: None,
) -> JobReport:
    """Score every substitution of a region; the table and the picture appear together, or not at all.

    Args:
        job: the options; those of its input and outputs are filled in. Without scorers, those that make up the
            composite splicing score.
        place: the region, as people write it.
        table: the file of the scores.
        picture: the file of a picture of them; None for none.
        by: the scorer of the picture, or the composite; None for the composite if the job names no scorers or all,
            and else for the first of them.
        align_bp: the grid of window starts; None for `grid_for` the window.
        observe: as for `run_job`.

    Raises:
        VepscoreError: anything that the user can act on.
    """
    outputs: list[OutputFile] = [SaturationTable(str(table))]
    _check_names(table, picture)
    job = resolve_defaults(job)
    job = job.changed(align=grid_for(job.window_bp) if align_bp is None else align_bp)
    reference = Reference(job.genome.reference, cache_dir())
    region = parse_region(place, reference)
    if region.width_bp > MAX_REGION_BP:
        raise UsageError(
            f"region {region}\nis {region.width_bp} bp wide and has {3 * region.width_bp} substitutions; "
            f"expected at most {MAX_REGION_BP} bp",
            hint="do it in parts, or give `vepscore score` a VCF of the substitutions, with --shard",
        )
    bases = reference.fetch(region.chrom, region.start0, region.end0).decode("ascii")
    if not set(bases) & set(BASES):
        raise UsageError(f"region {region}\nhas no known base in {job.genome.reference}")
    scorers, by = _find_scorers(job.scoring.scorers, by, is_drawn=picture is not None)
    if picture is not None:
        outputs.append(SaturationPicture(str(picture), by, region.chrom, region.start0, bases))
    unranked = {"scorers": scorers, "quantiles": None, "no_quantiles": True}
    with tempfile.TemporaryDirectory(prefix="vepscore-") as folder:
        source = Path(folder) / "substitutions.vcf"
        source.write_text("".join(f"{line}\n" for line in _vcf_lines(region, bases)), encoding="utf-8")
        return run_job(job.changed(source=str(source), outputs=tuple(outputs), **unranked), observe)


def _check_names(table: Path, picture: Path | None) -> None:
    """Refuse outputs of unknown formats, before anything is computed."""
    output_suffix(table, SaturationTable.suffixes)
    if picture is not None:
        output_suffix(picture, SUFFIXES)
        require_matplotlib(", or omit --picture")


def _find_scorers(
    named: Sequence[str] | None, by: str | None, *, is_drawn: bool
) -> tuple[tuple[str, ...], str]:
    """Return the names of the scorers to run, with those that the picture needs, and what the picture shows."""
    if named is not None and ALL_SCORERS not in named:
        return tuple(named), _check_shown(by or named[0], named)
    by = by or COMPOSITE_FIELD
    parts = [scorer.name for scorer in load_scorers() if scorer.info_field in COMPOSITE_WEIGHTS]
    if named is None:
        return tuple(parts), _check_shown(by, parts)
    _check_shown(by, [entry.name for entry in list_scorers()])
    needed = parts if by == COMPOSITE_FIELD else [by]
    return (*named, *(needed if is_drawn else ())), by


def _check_shown(by: str, scorers: Sequence[str]) -> str:
    """Return `by`, the score that the picture shows.

    Raises:
        UsageError: it is neither the composite nor one of the scorers.
    """
    known = {COMPOSITE_FIELD, *scorers}
    if by not in known:
        raise UsageError(
            f"--by {by}\nexpected one of {', '.join(sorted(known))}", hint=f"add -s {by} where it is a scorer"
        )
    return by


def _vcf_lines(region: Region, bases: str) -> Iterator[str]:
    yield "##fileformat=VCFv4.2"
    yield "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
    for pos1, ref in enumerate(bases, region.start0 + 1):
        if ref in BASES:
            alts = ",".join(base for base in BASES if base != ref)
            yield f"{region.chrom}\t{pos1}\t.\t{ref}\t{alts}\t.\t.\t."
