"""Compare the splicing of checkpoints with that of teachers, such as published ensembles, and print Markdown tables.

    python examples/06_training/evaluate_splicing.py DATA CHECKPOINT... --teacher cispliceai --teacher spliceformer

A name is one that `vepscore weights list` prints, or a directory. The tables, which `--table` chooses:

- `clinvar`: AUROC of VS_SPLICE on pathogenic and benign variants of ClinVar, up to 50 bp from a splice site, without
  the canonical two bases. The score of the teachers' mean is the mean of their scores.
- `sites`: AUPRC per nucleotide on annotated transcripts, by the rules of `evaluate_held_out.py`.
- `deltas`: correlation with the teachers' mean on random variants of genes. Compared are the four delta scores of a
  variant: the largest gain and loss of a donor and an acceptor of the gene's strand up to 50 bp from POS. They are what
  users read, and count false gains away from where the teachers see a change, which a comparison at that position would
  miss. The mean is taken of the probabilities, before gains and losses.
- `calls`: on the same variants, which have a delta score of 0.2 or more by the teachers' mean, and at which threshold
  the checkpoint agrees best. To choose a threshold, take chromosomes that are not for testing.
- `shift`: change of a site's probability if the window begins 1 to 127 bp before. Sites are positions in the middle
  half of a window whose probability is ever above 0.1.
- `windows`: change of VS_SPLICE on the variants of ClinVar between the first window and others. Windows are centered on
  their variant, and bases are known up to 8,192 bp on both sides.

Predictions are kept in the folder `--cache`, so that an interrupted run resumes; `--fraction 0.02` is a trial. Variants
are those on sequence in native coordinates; sites are on all sequence. Intervals are 95% bootstrap intervals.
"""

import dataclasses
import enum
import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from evaluate_held_out import SiteTile, list_tiles, rank_sites
from splicing_scores import EvaluatedCheckpoint, Source
from splicing_variants import (
    KINDS,
    STRATA,
    LabeledVariants,
    RandomVariants,
    draw_random,
    is_far_from_ends,
    kinds_of,
    read_labeled,
    take_fraction,
)

from vepscore.cli.main import run_script
from vepscore.engine.device import find_devices
from vepscore.engine.settings import set_up_process
from vepscore.evaluate.metrics import Estimate, auroc, estimate, estimate_difference, spearman
from vepscore.genome.annotation import Annotation
from vepscore.genome.cache import cache_dir
from vepscore.model.registry import resolve_checkpoint
from vepscore.train.segments import read_segments
from vepscore.train.splice import SpliceData

SEQUENCE = ("hg38_native.fa.gz", "hg38_slices.fa.gz", "hg38_more.fa.gz")  # variants are on the first
GENES, CLINVAR = "refseq_hg38.gtf.gz", "clinvar_2016.hg38.vcf.gz"
MEAN = "mean of the teachers"
LARGE_DELTA = 0.05
CALLED_DELTA = 0.2
THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
SITE_PROBABILITY = 0.1
TOLERANCE = 0.02
SHIFT_WINDOW_BP, SHIFTS, LONGEST_SHIFT_BP = 16_384, 8, 127
FLANK_BP = 8_192
_TILE_BP = 131_072
_BOOTSTRAP = {"resamples": 1000, "seed": 0}

Row = Sequence[object]


class Table(enum.StrEnum):
    """A table of the output."""

    CLINVAR = "clinvar"
    SITES = "sites"
    DELTAS = "deltas"
    CALLS = "calls"
    SHIFT = "shift"
    WINDOWS = "windows"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What is compared, and on what."""

    checkpoints: Sequence[EvaluatedCheckpoint]
    teachers: Sequence[EvaluatedCheckpoint]
    data: Path
    source: Source  # the genome of the variants
    chromosomes: Sequence[str]
    fraction: float = 1.0  # of everything
    snvs: int  # random ones
    indels: int
    shifted: int  # windows of the table of shifts
    windows: Sequence[str]

    @functools.cached_property
    def annotation(self) -> Annotation:
        """Return the genes."""
        return Annotation.from_gtf(self.source.genes, cache_dir())

    @functools.cached_property
    def labeled(self) -> LabeledVariants:
        """Return the variants of ClinVar."""
        path, genome = self.data / CLINVAR, self.source.genome
        return read_labeled(path, genome, self.annotation, self.chromosomes, self.fraction)

    @functools.cached_property
    def random(self) -> RandomVariants:
        """Return random variants."""
        counts = {"snvs": int(self.snvs * self.fraction), "indels": int(self.indels * self.fraction)}
        return draw_random(self.source.genome, self.annotation, self.chromosomes, **counts, seed=0)

    @functools.cached_property
    def sites(self) -> SpliceData:
        """Return the annotated sites of all sequence on the chromosomes."""
        segments = read_segments([self.data / name for name in SEQUENCE], cache_dir())
        return SpliceData([one for one in segments if one.chrom in self.chromosomes], self.annotation)


def main(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help=f"Directory with {', '.join((*SEQUENCE, GENES, CLINVAR))}.")
    ],
    checkpoint: Annotated[list[str], typer.Argument(help="Name or directory of a checkpoint to evaluate.")],
    teacher: Annotated[list[str], typer.Option(help="Name or directory of a teacher. May be repeated.")],
    cache: Annotated[Path, typer.Option(help="Folder of predictions, created if missing.")] = Path(
        "evaluation"
    ),
    chromosomes: Annotated[str, typer.Option(help="Chromosomes, separated by commas.")] = "chr16,chr22",
    table: Annotated[
        list[Table] | None, typer.Option(help="Table to print. May be repeated. Default: all.")
    ] = None,
    fraction: Annotated[
        float, typer.Option(min=0, max=1, help="Fraction of everything to evaluate, for a trial.")
    ] = 1.0,
    snvs: Annotated[int, typer.Option(help="Random SNVs, a third of them in each stratum.")] = 5_000,
    indels: Annotated[int, typer.Option(help="Random indels, likewise.")] = 2_000,
    shifted: Annotated[int, typer.Option(help="Windows of the table of shifts.")] = 100,
    window: Annotated[
        list[str] | None,
        typer.Option(help="Window of the table of windows. May be repeated. Default: 16kb, 128kb and 1Mb."),
    ] = None,
) -> None:
    """Print tables that compare the splicing of checkpoints with that of teachers."""
    set_up_process(deterministic=False)
    find_devices("auto")
    source = Source(reference=data / SEQUENCE[0], genes=data / GENES)
    checkpoints, teachers = (
        [EvaluatedCheckpoint(resolve_checkpoint(name), name, cache, source) for name in names]
        for names in (checkpoint, teacher)
    )
    evaluation = Evaluation(
        checkpoints=checkpoints,
        teachers=teachers,
        data=data,
        source=source,
        chromosomes=chromosomes.split(","),
        fraction=fraction,
        snvs=snvs,
        indels=indels,
        shifted=shifted,
        windows=window or ["16kb", "128kb", "1Mb"],
    )
    for each in table or Table:
        PRINTERS[each](evaluation)


def print_clinvar(evaluation: Evaluation) -> None:
    """Print the AUROC of VS_SPLICE in windows of 16 kb, and its difference from the teachers' mean."""
    variants, positive = evaluation.labeled
    scores, of_teachers = (
        {each.name: each.read_scores(variants, "16kb") for each in group}
        for group in (evaluation.checkpoints, evaluation.teachers)
    )
    scores |= of_teachers | {MEAN: np.mean(list(of_teachers.values()), axis=0)}
    scored = np.all(np.isfinite(list(scores.values())), axis=0)
    rows = [
        row
        for kind in KINDS
        for row in _auroc_rows(kind, scores, positive, scored & (kinds_of(variants) == kind))
    ]
    columns = ("kind", "pathogenic", "benign", "checkpoint", "AUROC", f"difference from the {MEAN}")
    print_markdown(
        f"ClinVar near splice sites, VS_SPLICE, 16 kb; not scored by all: {np.sum(~scored)}", columns, rows
    )


def _auroc_rows(
    kind: str, scores: Mapping[str, np.ndarray], positive: np.ndarray, inside: np.ndarray
) -> Iterator[Row]:
    """Yield the rows of the variants `inside`, bool (N,)."""
    classes = positive[inside].astype(int)
    truth = classes.astype(float)
    counts = int(classes.sum()), int((1 - classes).sum())
    for name, values in scores.items():
        value = estimate(auroc, values[inside], truth, classes, **_BOOTSTRAP)
        pair = values[inside], scores[MEAN][inside]
        difference = estimate_difference(auroc, *pair, truth, classes, **_BOOTSTRAP)
        yield kind, *counts, name, _text(value), "" if name == MEAN else _text(difference, "+")


def print_sites(evaluation: Evaluation) -> None:
    """Print the AUPRC of donors and acceptors per nucleotide."""
    tiles = list_tiles(evaluation.sites, _TILE_BP)
    tiles = [tiles[index] for index in take_fraction(len(tiles), evaluation.fraction)]
    predicted, of_teachers = (
        {each.name: [each.read_sites(tile) for tile in tiles] for each in group}
        for group in (evaluation.checkpoints, evaluation.teachers)
    )
    means = [np.mean(each, axis=0) for each in zip(*of_teachers.values(), strict=True)]
    rows: list[Row] = []
    for name, probabilities in (predicted | of_teachers | {MEAN: means}).items():
        for place, found in rank_sites(tiles, probabilities).items():
            values = [
                _text(Estimate(value=each["auprc"], low=each["interval"][0], high=each["interval"][1]))
                for each in found.values()
            ]
            rows.append((name, place.replace("_", " "), *(each["sites"] for each in found.values()), *values))
    columns = ("checkpoint", "nucleotides", "donors", "acceptors", "donors, AUPRC", "acceptors, AUPRC")
    known = sum(int(tile.valid.sum()) for tile in tiles)
    print_markdown(f"Splice sites per nucleotide, {known:,} bp", columns, rows)


def print_deltas(evaluation: Evaluation) -> None:
    """Print correlations of delta scores with those of the teachers' mean."""
    scores, mean = read_delta_scores(evaluation)
    columns = ("variants", "stratum", "checkpoint", "deltas", "r", "rho", f"above {LARGE_DELTA}", "r", "rho")
    print_markdown(
        f"Delta scores: Pearson's r and Spearman's rho with the {MEAN}",
        columns,
        list(_correlation_rows(scores, mean, evaluation.random)),
    )


def read_delta_scores(evaluation: Evaluation) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the delta scores (N, 4) of each checkpoint and teacher, and those of the teachers' mean."""
    random = evaluation.random
    deltas, of_teachers = (
        {each.name: each.read_deltas(random.variants, random.strand) for each in group}
        for group in (evaluation.checkpoints, evaluation.teachers)
    )
    mean = delta_scores(np.mean(list(of_teachers.values()), axis=0))
    return {name: delta_scores(each) for name, each in (deltas | of_teachers).items()}, mean


def print_calls(evaluation: Evaluation) -> None:
    """Print how well a checkpoint calls, at several thresholds, what the teachers' mean calls at CALLED_DELTA."""
    scores, mean = read_delta_scores(evaluation)
    scored = np.isfinite([*scores.values(), mean]).all(axis=(0, 2))
    truth = mean[scored].max(axis=1) >= CALLED_DELTA
    rows: list[Row] = []
    for (name, values), threshold in itertools.product(scores.items(), THRESHOLDS):
        called = values[scored].max(axis=1) >= threshold
        both = int((called & truth).sum())
        agreement = 2 * both / max(int(called.sum()) + int(truth.sum()), 1)
        rows.append((name, threshold, int(truth.sum()), int(called.sum()), both, f"{agreement:.3f}"))
    columns = ("checkpoint", "threshold", "called by the mean", "by the checkpoint", "by both", "F1")
    title = f"Calls: variants with a delta score of {CALLED_DELTA} or more by the {MEAN}, of {scored.sum()}"
    print_markdown(title, columns, rows)


def delta_scores(deltas: np.ndarray) -> np.ndarray:
    """Return the largest gain and loss of donors and acceptors, (N, 4), of deltas (N, P, 2); none is negative."""
    return np.maximum(np.concatenate([deltas.max(axis=1), -deltas.min(axis=1)], axis=1), 0)


def _correlation_rows(
    scores: Mapping[str, np.ndarray], base: np.ndarray, random: RandomVariants
) -> Iterator[Row]:
    scored = np.isfinite([*scores.values(), base]).all(axis=(0, 2))
    kinds = kinds_of(random.variants)
    for kind, (number, stratum) in itertools.product(KINDS, enumerate(STRATA)):
        inside = scored & (kinds == kind) & (random.stratum == number)
        for name, values in scores.items():
            x, y = values[inside].ravel(), base[inside].ravel()
            large = y > LARGE_DELTA
            yield (
                kind,
                stratum,
                name,
                len(x),
                *correlate(x, y),
                int(large.sum()),
                *correlate(x[large], y[large]),
            )


def correlate(x: np.ndarray, y: np.ndarray) -> tuple[str, str]:
    """Return Pearson's and Spearman's correlation, empty where there is none."""
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return "", ""
    rho = spearman(x, y, np.ones((1, len(x))))[0]
    return f"{np.corrcoef(x, y)[0, 1]:.3f}", f"{rho:.3f}"


def print_shift(evaluation: Evaluation) -> None:
    """Print how much the probability of a site depends on where the window begins."""
    windows = draw_windows(evaluation.sites, max(1, int(evaluation.shifted * evaluation.fraction)))
    rows: list[Row] = []
    for each in evaluation.checkpoints:
        changes = np.concatenate([np.zeros(0), *(shift_changes(each, window) for window in windows)])
        quantiles = np.quantile(changes, [0.5, 0.99, 1]) if len(changes) else []
        rows.append((each.name, len(changes), *(f"{value:.4f}" for value in quantiles)))
    columns = ("checkpoint", "sites", "median", "99% quantile", "largest")
    title = (
        f"Largest change of a site's probability, windows of {SHIFT_WINDOW_BP:,} bp shifted by 1 to 127 bp"
    )
    print_markdown(title, columns, rows)


def draw_windows(data: SpliceData, count: int) -> list[SiteTile]:
    """Draw windows around annotated sites, which lie with all their shifts in a segment."""
    drawn = []
    nowhere = np.zeros(SHIFT_WINDOW_BP, bool)
    for index, position in np.random.default_rng(0).permutation(data.sites):
        segment, start0 = data.segments[index], int(position) - SHIFT_WINDOW_BP // 2
        if segment.start0 + LONGEST_SHIFT_BP <= start0 and start0 + SHIFT_WINDOW_BP <= segment.end0:
            drawn.append(SiteTile(segment, start0, nowhere, nowhere, nowhere))
    return drawn[:count]


def shift_changes(checkpoint: EvaluatedCheckpoint, window: SiteTile) -> np.ndarray:
    """Return the largest change of the probability of each site of a window, (sites,)."""
    rng, quarter = np.random.default_rng(window.start0), SHIFT_WINDOW_BP // 4
    drawn = rng.choice(np.arange(2, LONGEST_SHIFT_BP), SHIFTS - 2, replace=False)
    middles = []
    for shift in (0, 1, LONGEST_SHIFT_BP, *drawn.tolist()):
        predicted = checkpoint.predict_sites(window._replace(start0=window.start0 - shift))
        middles.append(predicted[quarter + shift : 3 * quarter + shift])
    sites = np.max(middles, axis=0) > SITE_PROBABILITY
    return np.abs(np.array(middles) - middles[0]).max(axis=0)[sites]


def print_windows(evaluation: Evaluation) -> None:
    """Print how often a score in other windows is close to that in the first one."""
    genome, windows = evaluation.source.genome, evaluation.windows
    variants = [one for one in evaluation.labeled.variants if is_far_from_ends(genome, one, FLANK_BP)]
    rows: list[Row] = []
    for each in evaluation.checkpoints:
        first, *others = (each.read_scores(variants, window) for window in windows)
        for window, scores in zip(windows[1:], others, strict=True):
            change = np.abs(scores - first)
            change = change[np.isfinite(change)]
            within = f"{np.mean(change <= TOLERANCE):.1%}" if len(change) else ""
            rows.append((each.name, window, len(change), within, f"{change.max(initial=0):.3f}"))
    columns = ("checkpoint", "window", "variants", f"within {TOLERANCE}", "largest change")
    print_markdown(f"VS_SPLICE in wider windows, beside {windows[0]}", columns, rows)


PRINTERS = {
    Table.CLINVAR: print_clinvar,
    Table.SITES: print_sites,
    Table.DELTAS: print_deltas,
    Table.CALLS: print_calls,
    Table.SHIFT: print_shift,
    Table.WINDOWS: print_windows,
}


def print_markdown(title: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Print a table."""
    print(f"\n### {title}\n")
    for line in (columns, ["---"] * len(columns), *rows):
        print(f"| {' | '.join(map(str, line))} |", flush=True)


def _text(found: Estimate, sign: str = "") -> str:
    """Return a value and its interval."""
    if np.isnan(found.value):
        return ""
    return f"{found.value:{sign}.3f} ({found.low:{sign}.3f} to {found.high:{sign}.3f})"


if __name__ == "__main__":
    run_script(main)
