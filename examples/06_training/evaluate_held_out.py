"""Evaluate a checkpoint, or the mean of several, on chromosomes that it was not trained on.

    python examples/06_training/evaluate_held_out.py RECIPE.toml DATA CHECKPOINT...

Prints JSON. Splice sites of all annotated transcripts are evaluated per nucleotide: on both strands of the whole
sequence, on both strands of transcripts, and on the transcripts' own strand, as is usual where only genes are
predicted. Tracks are evaluated by the correlation of log(1 + coverage) in 128 bp bins of the test regions. Intervals
are bootstrap percentiles; the units of resampling are intervals of BLOCK_BP for sites, and regions for tracks.
"""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import typer
from flax import nnx
from synthetic_contacts import BIN_BP as CONTACT_BIN_BP
from synthetic_contacts import read_contacts

from vepscore.cli.main import run_script
from vepscore.engine.device import find_devices
from vepscore.engine.settings import fixed_settings, set_up_process
from vepscore.evaluate.metrics import HIGH, LOW, auprc
from vepscore.genome.windows import UNKNOWN, reverse_complement
from vepscore.model.checkpoint import Checkpoint, load_checkpoint
from vepscore.model.network import LOADED_ORGANISM, one_hot
from vepscore.outputs import MAX_WINDOW_BP, PAIR_BIN_BP, SPLICE_CLASSES, Output
from vepscore.threads import granted_threads
from vepscore.train.coverage import BIN_BP, COARSE_BP
from vepscore.train.labels import REVERSED_CLASS
from vepscore.train.recipe import read_recipe
from vepscore.train.segments import Segment
from vepscore.train.splice import SpliceData
from vepscore.train.training_data import TrainingData, read_data

CONTEXT_BP = 131_072
BLOCK_BP = 100_000
PLACES = ("everywhere", "transcripts", "transcripts_own_strand")
_CONSTANT = 1e-9  # a standard deviation below this is a rounding error
_RESAMPLES = 1000
_RANKED = 200_000  # highest-scoring nucleotides ranked in resamples; the others change the fifth decimal
_DRAWN_AT_ONCE = 20


def main(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.toml", help="Recipe of the checkpoint.")],
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="Directory with the files that the recipe names.")
    ],
    checkpoint: Annotated[
        list[Path],
        typer.Argument(help="Checkpoint directory. With several, their mean prediction is evaluated."),
    ],
    window: Annotated[int, typer.Option(help="Window width in bp.")] = MAX_WINDOW_BP,
    chromosome: Annotated[
        list[str] | None,
        typer.Option(
            help="Chromosome to evaluate splice sites on; may be repeated. Default: the test chromosomes."
        ),
    ] = None,
    both_strands: Annotated[
        bool, typer.Option("--both-strands", help="Average splice sites over both strands, as teachers do.")
    ] = False,
) -> None:
    """Print the metrics of a checkpoint on chromosomes that it was not trained on, as JSON."""
    set_up_process(deterministic=False)
    find_devices("auto")
    with fixed_settings():
        found = read_data(read_recipe(recipe), data, read_contacts)
        checkpoints = [load_checkpoint(path) for path in checkpoint]
        splice = found.splice_on(chromosome or found.test)
        metrics: dict[str, Any] = {
            "window_bp": window,
            "splice_sites": evaluate_splice_sites(checkpoints, splice, window, both_strands=both_strands),
            "tracks": evaluate_tracks(checkpoints, found),
        }
        if found.contacts is not None and Output.CONTACT_MAPS in checkpoints[0].tracks:
            metrics["contacts"] = evaluate_contacts(checkpoints, found, window)
    print(json.dumps(metrics, indent=2))


class SiteTile(NamedTuple):
    """A window of a segment, with its splice sites."""

    segment: Segment
    start0: int  # on the chromosome
    valid: np.ndarray  # bool (S,): positions that count here, and in no other tile
    site_class: np.ndarray  # int8 (S,): by SPLICE_CLASSES, 4 = none
    own_strand: np.ndarray  # bool (S, 2): in a gene of the strand (+, -)

    def codes(self, margin_bp: int = 0) -> np.ndarray:
        """Return its sequence, uint8 (1, S + 2 · margin_bp)."""
        return self.segment.window(self.start0 - margin_bp, len(self.valid) + 2 * margin_bp)[None]


def evaluate_splice_sites(
    checkpoints: Sequence[Checkpoint], data: SpliceData, window_bp: int, *, both_strands: bool = False
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return average precision (AUPRC) and top-k accuracy, by the nucleotides counted (`PLACES`) and the kind of site.

    A segment that is shorter than `window_bp` is read in windows of a half, a quarter and so on that it fills, because
    variants are not scored with N around them.
    """
    predict, margin_bp = (
        create_predictor(checkpoints, Output.SPLICE_SITES),
        checkpoints[0].network.margin_bp,
    )
    if both_strands:
        predict = mean_of_strands(predict)
    tiles = list_tiles(data, window_bp)
    return rank_sites(tiles, [predict(tile.codes(margin_bp))[0, tile.valid] for tile in tiles])


def list_tiles(data: SpliceData, window_bp: int) -> list[SiteTile]:
    """Return the tiles of all segments; see `evaluate_splice_sites`."""
    tiles = []
    for index, segment in enumerate(data.segments):
        width_bp = _fitting(window_bp, len(segment.codes))
        for start0, window in data.tiles_of(index, width_bp, min(CONTEXT_BP, width_bp // 4)):
            own_strand = data.transcribed(index, start0, width_bp)
            tiles.append(SiteTile(segment, start0, window.valid[0], window.classes[0], own_strand))
    return tiles


def rank_sites(
    tiles: Sequence[SiteTile], predicted: Sequence[np.ndarray]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the metrics of splice sites, by the nucleotides counted and the kind of site.

    Args:
        tiles: what is counted.
        predicted: probabilities at each tile's valid positions, (valid, 4 or more), by SPLICE_CLASSES.
    """
    site_class = np.concatenate([tile.site_class[tile.valid] for tile in tiles])
    own_strand = np.concatenate([tile.own_strand[tile.valid] for tile in tiles])
    probability = np.concatenate([each[:, : len(SPLICE_CLASSES)] for each in predicted])
    counted = (np.ones_like(own_strand), own_strand | own_strand[:, ::-1], own_strand)
    return {
        place: {
            kind: _rank(*_of_kind(kind, site_class, probability, strands)) for kind in ("donor", "acceptor")
        }
        for place, strands in zip(PLACES, counted, strict=True)
    }


def evaluate_tracks(
    checkpoints: Sequence[Checkpoint], data: TrainingData
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return Pearson's r of log(1 + coverage) over all bins of the test regions, averaged over each output's tracks.

    `held_out` is of all test regions; `test_split` is of those that the region table itself labels as test.
    """
    regions = [region for region in data.tracks.regions if region.is_test]
    in_test_split = np.array([region.in_test_split for region in regions])
    codes = [_codes(data, *region.interval) for region in regions]
    coverage = [
        data.tracks.window(region.chrom, region.start0, region.end0 - region.start0)[0] for region in regions
    ]
    metrics = {}
    for output, columns in data.tracks.columns.items():
        predict = create_predictor(checkpoints, output)
        predicted = [_pool(predict(each[None])[0], COARSE_BP) for each in codes]
        measured = [_pool(each[:, columns], COARSE_BP // BIN_BP) for each in coverage]
        x, y = (np.log1p(np.stack(each).astype(np.float64)) for each in (predicted, measured))
        chosen = {"held_out": np.ones(len(regions), bool), "test_split": in_test_split}
        metrics[str(output)] = {
            name: _correlate(x[rows], y[rows]) for name, rows in chosen.items() if rows.any()
        }
    return metrics


def evaluate_contacts(
    checkpoints: Sequence[Checkpoint], data: TrainingData, window_bp: int
) -> dict[str, float | None]:
    """Return Pearson's r of predicted and synthetic contacts, over pairs of bins above the diagonal of test windows.

    Domains lie near the diagonal, so distance alone predicts part of a map: `distance_only` is the r of the synthetic
    maps' own mean at each distance, and `pearson_within_distance` is the r after subtracting the mean at each distance
    from both. A value is None if one side is constant. Windows do not overlap; the end of a segment that fills less
    than half a window is excluded.

    Raises:
        ValueError: there are no contact maps.
    """
    if data.contacts is None:
        raise ValueError("there are no contact maps to compare with")
    predict = create_predictor(checkpoints, Output.CONTACT_MAPS)
    predicted, synthetic, distance, windows = [], [], [], 0
    for segment in data.splice_on(data.test).segments:
        for start0 in range(segment.start0, segment.end0 - window_bp // 2 + 1, window_bp):
            codes = segment.window(start0, window_bp)
            known = (codes.reshape(-1, CONTACT_BIN_BP) != UNKNOWN).all(axis=1)
            upper = np.triu(known[:, None] & known, k=1)
            first, second = np.nonzero(upper)
            predicted.append(predict(codes[None])[0, upper, 0].astype(np.float64))
            contacts = data.contacts.window(segment.chrom, start0, window_bp)
            synthetic.append(contacts[upper, 0].astype(np.float64))
            distance.append(second - first)
            windows += 1
    x, y, bins_apart = (np.concatenate(each) for each in (predicted, synthetic, distance))
    x_mean, y_mean = (_mean_by(bins_apart, each) for each in (x, y))
    return {
        "windows": windows,
        "pearson": _pearson(x, y),
        "distance_only": _pearson(y_mean, y),
        "pearson_within_distance": _pearson(x - x_mean, y - y_mean),
    }


def _codes(data: TrainingData, chrom: str, start0: int, end0: int) -> np.ndarray:
    """Return uint8 (S,) of a region, which lies in one segment."""
    (segment,) = [p for p in data.segments if p.chrom == chrom and p.start0 <= start0 and end0 <= p.end0]
    return segment.window(start0, end0 - start0)


def create_predictor(checkpoints: Sequence[Checkpoint], output: Output) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function of codes (B, S): the mean prediction of all networks, which have one architecture.

    It is (B, S, T) at 1 bp, without the network's margins; of contacts (B, S // 2048, S // 2048, T). The networks of an
    ensemble are run in threads, because one alone does not keep all cores busy.
    """
    members = [member for checkpoint in checkpoints for member in checkpoint.network.members()]
    graph = nnx.split(members[0])[0]
    states = [nnx.split(member)[1] for member in members]
    is_ensemble = len(members) > len(checkpoints)
    threads = ThreadPoolExecutor(granted_threads() if is_ensemble else 1, thread_name_prefix="network")

    @jax.jit
    def predict(state: nnx.State, codes: jax.Array) -> jax.Array:
        network = nnx.merge(graph, state)
        embeddings = network.embed(one_hot(codes, jnp.float32), LOADED_ORGANISM)
        return network.predict(output, network.select(embeddings, output), LOADED_ORGANISM)

    def predict_mean(codes: np.ndarray) -> np.ndarray:
        one = fixed_settings()(lambda state: np.asarray(predict(state, codes)))
        return np.mean(list(threads.map(one, states)), axis=0)

    return predict_mean


def mean_of_strands(predict: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function of codes (B, S) that averages splice sites (B, S, 5) of both strands, on the codes' strand."""

    def predict_both(codes: np.ndarray) -> np.ndarray:
        mirrored = predict(np.stack([reverse_complement(each) for each in codes]))
        return (predict(codes) + mirrored[:, ::-1, REVERSED_CLASS[: mirrored.shape[-1]]]) / 2

    return predict_both


def _fitting(window_bp: int, length_bp: int) -> int:
    """Return `window_bp`, halved while it is longer than a segment and the half is still a valid window."""
    while window_bp > length_bp and window_bp % (2 * PAIR_BIN_BP) == 0:
        window_bp //= 2
    return window_bp


def _of_kind(
    kind: str, site_class: np.ndarray, probability: np.ndarray, counted: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return truth, score and block of the counted nucleotides, (N,) each: the plus strand, then the minus strand.

    site_class int (S,), probability (S, 4), counted bool (S, 2). Both strands of an interval are in one block.
    """
    columns = [column for column, name in enumerate(SPLICE_CLASSES) if name.startswith(kind)]
    rows = [np.flatnonzero(counted[:, strand]) for strand in range(len(columns))]
    truth = [site_class[at] == column for at, column in zip(rows, columns, strict=True)]
    score = [probability[at, column] for at, column in zip(rows, columns, strict=True)]
    return np.concatenate(truth), np.concatenate(score), np.concatenate(rows) // BLOCK_BP


def _rank(truth: np.ndarray, score: np.ndarray, block: np.ndarray) -> dict[str, Any]:
    """Return metrics of truth bool (N,), score (N,); block int (N,) is the unit of resampling."""
    count = int(truth.sum())
    top = np.argpartition(-score, count)[:count]
    value = auprc(score, truth, np.ones((1, len(score))))
    likely = np.argpartition(-score, min(_RANKED, len(score) - 1))[:_RANKED]
    kept = np.union1d(likely, np.flatnonzero(truth))
    blocks = int(block.max()) + 1
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(0, _RESAMPLES, _DRAWN_AT_ONCE):
        draws = rng.multinomial(blocks, np.full(blocks, 1 / blocks), _DRAWN_AT_ONCE)[:, block[kept]]
        drawn.append(auprc(score[kept], truth[kept], draws))
    return {
        "sites": count,
        **_with_interval("auprc", np.concatenate([value, *drawn])),
        "top_k": round(float(truth[top].mean()), 4),
    }


def _correlate(x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Return Pearson's r over all bins of the regions, x and y (R, L, T), averaged over tracks."""
    drawn = np.random.default_rng(0).multinomial(len(x), np.full(len(x), 1 / len(x)), _RESAMPLES)
    draws = np.concatenate([np.ones((1, len(x))), drawn])
    return {"regions": len(x), **_with_interval("pearson", _mean_correlations(x, y, draws))}


def _mean_correlations(x: np.ndarray, y: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Return r (B,) of x and y (R, L, T) for each resample; draws (B, R) are the weights of the regions."""
    x, y = x - x.mean(axis=(0, 1)), y - y.mean(axis=(0, 1))
    total = draws.sum(axis=1, keepdims=True) * x.shape[1]
    of_x, of_y, of_xx, of_yy, of_xy = (draws @ each.sum(axis=1) for each in (x, y, x * x, y * y, x * y))
    covariance = of_xy - of_x * of_y / total
    variances = (of_xx - of_x**2 / total) * (of_yy - of_y**2 / total)
    with np.errstate(invalid="ignore"):  # a track may be constant in a resample
        return (covariance / np.sqrt(variances)).mean(axis=1)


def _with_interval(name: str, values: np.ndarray) -> dict[str, Any]:
    """Return the first of `values` (1 + B,), and the interval of the others."""
    interval = np.nanpercentile(values[1:], [LOW, HIGH])
    return {name: round(float(values[0]), 4), "interval": [round(float(end), 4) for end in interval]}


def _mean_by(group: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return (N,): the mean value of each element's group."""
    return (np.bincount(group, value) / np.maximum(np.bincount(group), 1))[group]


def _pearson(x: np.ndarray, y: np.ndarray) -> float | None:
    if min(x.std(), y.std()) < _CONSTANT:
        return None
    return round(float(np.corrcoef(x, y)[0, 1]), 4)


def _pool(x: np.ndarray, by: int) -> np.ndarray:
    """Sum (L, T) over `by` bins: (L // by, T)."""
    return x.reshape(-1, by, x.shape[-1]).sum(axis=1)


if __name__ == "__main__":
    run_script(main)
