"""Reports of the small scored run, with signals that no network has predicted."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.report.scored import TRACKS, Scored, write_scored
from vepscore.genome.annotation import Annotation
from vepscore.io.signal_files import RegionSignals
from vepscore.io.staged_writer import TextWriter
from vepscore.outputs import Output
from vepscore.report.document import build_document, collect_alleles
from vepscore.report.page import SUFFIXES, render_page
from vepscore.report.ranking import Ranking, RankingOptions, rank
from vepscore.report.scene import Signals

HOSTILE = "</script><script>window.hostile=1</script><img src=x onerror=window.hostile=1>"
_WIDTH_BP = 2048
WITHOUT = "import sys; sys.modules['{module}'] = None\nfrom vepscore.cli.main import main; main()"


def ranking_of(source: Path, annotation: Path | None = None) -> Ranking:
    """Rank the alleles of a file by the composite splicing score."""
    return rank(RankingOptions(source=str(source), annotation=annotation))


def make_report(
    source: Path, output: Path, *, annotation: Path | None = None, has_tracks: bool = False
) -> Path:
    """Writes a report by the composite splicing score; the path."""
    ranking = ranking_of(source, annotation)
    genes = Annotation.from_gtf(annotation, output.parent / "cache") if annotation else None
    signals = planted_signals(ranking) if has_tracks else ["no reference was given (-r)"] * len(ranking.rows)
    cases = collect_alleles(str(source), ranking, genes, signals)
    facts = {"vepscoreCheckpoint": "of-another-test"} if has_tracks else None
    with TextWriter(output, SUFFIXES) as writer:
        writer.write([render_page(build_document(str(source), ranking, cases, tracks=facts))])
    return output


def planted_signals(ranking: Ranking) -> Iterator[Signals]:
    """Around each variant: at its place a donor goes from 0.9 to 0.1; coverage is halved right of it."""
    for row in ranking.rows:
        start0 = row.allele.pos1 - 1 - _WIDTH_BP // 2 + np.arange(_WIDTH_BP)
        yield tuple(_signals(output, start0) for output in (Output.SPLICE_SITES, Output.DNASE))


def _signals(output: Output, start0: np.ndarray) -> RegionSignals:
    tracks = TRACKS[output]
    middle = len(start0) // 2
    reference = np.zeros((len(start0), len(tracks)), np.float32)
    if output is Output.SPLICE_SITES:
        reference[middle, 0] = 0.9
        alternate = reference / 9
    else:
        reference[:] = 1 + np.arange(len(tracks))
        alternate = reference.copy()
        alternate[middle:] /= 2
    return RegionSignals(
        chrom="chr1",
        start0=start0,
        end0=start0 + 1,
        tracks=tracks,
        reference=reference,
        alternate=alternate,
    )


def write_hostile(folder: Path) -> Scored:
    """The small run with markup wherever its files have room for a text."""
    scored = write_scored(folder)
    percent = "".join(f"%{ord(char):02X}" if char in '<>|,;=%"& ' else char for char in HOSTILE)
    text = scored.vcf.read_text().replace("rs4", HOSTILE)
    text = re.sub(r"\|Main\|", f"|{percent}|", text).replace("=Main", f"={percent}")
    text = text.replace("##vepscoreCheckpoint=of-a-test", f"##vepscoreCheckpoint={HOSTILE}")
    text = text.replace("#CHROM", f"##vepscoreTerms={HOSTILE}\n#CHROM", 1)
    scored.vcf.write_text(text)
    scored.gtf.write_text(scored.gtf.read_text().replace('gene_name "Main"', f'gene_name "{HOSTILE}"'))
    return scored
