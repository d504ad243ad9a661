"""What a checkpoint, or several together, measure on chromosomes that they never saw.

    python -m vepscore.train.evaluate RECIPE.toml DATA CHECKPOINT...

Prints JSON. Splice sites of all annotated transcripts are judged per nucleotide: on both strands of the whole sequence,
on both strands of transcripts, and on the transcripts' own strand, as is done where genes alone are predicted. Tracks
are judged by the correlation of their logarithms in 128 bp bins of the regions for testing. Intervals are the
percentiles of a bootstrap: over stretches of BLOCK_BP for sites, over regions for tracks.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vepscore.engine.settings import fixed_settings
from vepscore.evaluate.metrics import HIGH, LOW, auprc
from vepscore.genome.windows import UNKNOWN, reverse_complement
from vepscore.model.checkpoint import LOADED_ORGANISM, Checkpoint, load_checkpoint
from vepscore.model.config import TRACK_RESOLUTIONS_BP
from vepscore.model.network import one_hot
from vepscore.outputs import MAX_WINDOW_BP, PAIR_BIN_BP, SPLICE_CLASSES, Output
from vepscore.train.contacts import BIN_BP as CONTACT_BIN_BP
from vepscore.train.labels import REVERSED_CLASS
from vepscore.train.recipe import read_recipe
from vepscore.train.run import TrainingData, read_data
from vepscore.train.splice import SpliceData
from vepscore.train.tracks import BIN_BP, COARSE_BP

CONTEXT_BP = 131_072
BLOCK_BP = 100_000
PLACES = ("everywhere", "transcripts", "transcripts_own_strand")
_CONSTANT = 1e-9  # standard deviation that is rounding error
_RESAMPLES = 1000
_RANKED = 200_000  # negatives that resamples rank; those below them change the fifth decimal
_DRAWN_AT_ONCE = 20


@fixed_settings()
def main() -> None:
    """Reads the data and the checkpoint, and prints what they give."""
    parser = argparse.ArgumentParser(prog="python -m vepscore.train.evaluate", description=__doc__)
    parser.add_argument("recipe", type=Path, help="what the checkpoint was trained by")
    parser.add_argument("data", type=Path, help="folder with the files that it names")
    parser.add_argument(
        "checkpoint", type=Path, nargs="+", help="directory; of several, their mean prediction is judged"
    )
    parser.add_argument("--window", type=int, default=MAX_WINDOW_BP, help="bp")
    parser.add_argument("--chromosomes", nargs="+", help="for splice sites; default: those for testing")
    parser.add_argument(
        "--both-strands",
        action="store_true",
        help="splice sites by the mean of both strands, as teachers say it",
    )
    options = parser.parse_args()
    data = read_data(read_recipe(options.recipe), options.data)
    checkpoints = [load_checkpoint(path) for path in options.checkpoint]
    splice = data.splice_on(options.chromosomes or data.test)
    figures = {
        "window_bp": options.window,
        "splice_sites": evaluate_splice_sites(
            checkpoints, splice, options.window, both_strands=options.both_strands
        ),
        "tracks": evaluate_tracks(checkpoints, data),
    }
    if data.contacts is not None and Output.CONTACT_MAPS in checkpoints[0].tracks:
        figures["contacts"] = evaluate_contacts(checkpoints, data, options.window)
    print(json.dumps(figures, indent=2))


def evaluate_splice_sites(
    checkpoints: Sequence[Checkpoint], data: SpliceData, window_bp: int, *, both_strands: bool = False
) -> dict[str, dict[str, dict[str, Any]]]:
    """Average precision (AUPRC) and top-k accuracy, by where nucleotides count (`PLACES`) and by the kind of site.

    A piece of sequence that is shorter than `window_bp` is read in windows of a half, a quarter and so on, which it
    fills: nobody scores a variant amid N.
    """
    predict = _predictor(checkpoints, Output.SPLICE_SITES)
    if both_strands:
        predict = mean_of_strands(predict)
    classes, probabilities, transcribed = [], [], []
    for index, piece in enumerate(data.pieces):
        width_bp = _fitting(window_bp, len(piece.codes))
        for start0, window in data.tiles_of(index, width_bp, min(CONTEXT_BP, width_bp // 4)):
            valid = window.valid[0]
            classes.append(window.classes[0, valid])
            probabilities.append(predict(window.codes)[0, valid, : len(SPLICE_CLASSES)])
            transcribed.append(data.transcribed(index, start0, width_bp)[valid])
    site_class, probability, own_strand = map(np.concatenate, (classes, probabilities, transcribed))
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
    """Mean over the tracks of each output of Pearson's r between log(1 + coverage), over all bins of the regions.

    Of all regions that are held out, and of those of them that the table of regions calls test.
    """
    regions = [region for region in data.tracks.regions if region.is_test]
    in_test_split = np.array([region.in_test_split for region in regions])
    codes = [_codes(data, *region.interval) for region in regions]
    coverage = [
        data.tracks.window(region.chrom, region.start0, region.end0 - region.start0)[0] for region in regions
    ]
    figures = {}
    for output, columns in data.tracks.columns.items():
        predict = _predictor(checkpoints, output)
        predicted = [_pool(predict(each[None])[0], COARSE_BP) for each in codes]
        measured = [_pool(each[:, columns], COARSE_BP // BIN_BP) for each in coverage]
        x, y = (np.log1p(np.stack(each).astype(np.float64)) for each in (predicted, measured))
        chosen = {"held_out": np.ones(len(regions), bool), "test_split": in_test_split}
        figures[str(output)] = {
            name: _correlate(x[rows], y[rows]) for name, rows in chosen.items() if rows.any()
        }
    return figures


def evaluate_contacts(
    checkpoints: Sequence[Checkpoint], data: TrainingData, window_bp: int
) -> dict[str, float | None]:
    """Pearson's r between predicted and drawn contacts, over the pairs of bins above the diagonal of all test windows.

    Domains lie near the diagonal, so a network that knows distance alone correlates as well: `distance_only` is
    what the drawn maps' own mean at each distance reaches, and `pearson_within_distance` what remains when
    the mean at each distance is taken off both. None stands where one side is constant. Windows lie side by side;
    stretches that fill less than half of one are left out.
    """
    predict = _predictor(checkpoints, Output.CONTACT_MAPS)
    predicted, drawn, distance, windows = [], [], [], 0
    for piece in data.splice_on(data.test).pieces:
        for start0 in range(piece.start0, piece.end0 - window_bp // 2 + 1, window_bp):
            codes = piece.window(start0, window_bp)
            known = (codes.reshape(-1, CONTACT_BIN_BP) != UNKNOWN).all(axis=1)
            upper = np.triu(known[:, None] & known, k=1)
            first, second = np.nonzero(upper)
            predicted.append(predict(codes[None])[0, upper, 0].astype(np.float64))
            drawn.append(data.contacts.window(piece.chrom, start0, window_bp)[upper, 0].astype(np.float64))
            distance.append(second - first)
            windows += 1
    x, y, bins_apart = (np.concatenate(each) for each in (predicted, drawn, distance))
    x_mean, y_mean = (_mean_by(bins_apart, each) for each in (x, y))
    return {
        "windows": windows,
        "pearson": _pearson(x, y),
        "distance_only": _pearson(y_mean, y),
        "pearson_within_distance": _pearson(x - x_mean, y - y_mean),
    }


def _codes(data: TrainingData, chrom: str, start0: int, end0: int) -> np.ndarray:
    """uint8 (S,) of a region, which lies in one piece."""
    (piece,) = [p for p in data.pieces if p.chrom == chrom and p.start0 <= start0 and end0 <= p.end0]
    return piece.window(start0, end0 - start0)


def _predictor(checkpoints: Sequence[Checkpoint], output: Output) -> Callable[[np.ndarray], np.ndarray]:
    """codes (B, S) to the mean prediction (B, S, T) at 1 bp; of contact maps (B, S // 2048, S // 2048, T)."""
    graph = nnx.split(checkpoints[0].network)[0]
    states = [nnx.split(checkpoint.network)[1] for checkpoint in checkpoints]
    options = {"resolution_bp": 1} if output in TRACK_RESOLUTIONS_BP else {}

    @jax.jit
    def predict(state: nnx.State, codes: jax.Array) -> jax.Array:
        network = nnx.merge(graph, state)
        organism = LOADED_ORGANISM
        embeddings = network(one_hot(codes, jnp.float32), organism, rotary_dtype=jnp.float32)
        return network.heads[str(output)](embeddings.of(output), organism, **options)

    return lambda codes: np.mean([np.asarray(predict(state, codes)) for state in states], axis=0)


def mean_of_strands(predict: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """From what predicts splice sites of codes (B, S), as (B, S, 5): the same of both strands, on the codes' own."""

    def predict_both(codes: np.ndarray) -> np.ndarray:
        turned = predict(np.stack([reverse_complement(each) for each in codes]))
        return (predict(codes) + turned[:, ::-1, REVERSED_CLASS]) / 2

    return predict_both


def _fitting(window_bp: int, length_bp: int) -> int:
    """`window_bp`, halved for as long as it is longer than a stretch, and its half still a window of the network."""
    while window_bp > length_bp and window_bp % (2 * PAIR_BIN_BP) == 0:
        window_bp //= 2
    return window_bp


def _of_kind(
    kind: str, site_class: np.ndarray, probability: np.ndarray, counted: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, score and block of the nucleotides that count, (N,) each, both strands one after the other.

    site_class int (S,), probability (S, 4), counted bool (S, 2). Both strands of a stretch lie in one block.
    """
    columns = [column for column, name in enumerate(SPLICE_CLASSES) if name.startswith(kind)]
    rows = [np.flatnonzero(counted[:, strand]) for strand in range(len(columns))]
    truth = [site_class[at] == column for at, column in zip(rows, columns, strict=True)]
    score = [probability[at, column] for at, column in zip(rows, columns, strict=True)]
    return np.concatenate(truth), np.concatenate(score), np.concatenate(rows) // BLOCK_BP


def _rank(truth: np.ndarray, score: np.ndarray, block: np.ndarray) -> dict[str, Any]:
    """truth bool (N,), score (N,), block int (N,): what is drawn together."""
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
    """Mean over tracks of Pearson's r over all bins of the regions, (R, L, T) twice."""
    drawn = np.random.default_rng(0).multinomial(len(x), np.full(len(x), 1 / len(x)), _RESAMPLES)
    draws = np.concatenate([np.ones((1, len(x))), drawn])
    return {"regions": len(x), **_with_interval("pearson", _mean_correlations(x, y, draws))}


def _mean_correlations(x: np.ndarray, y: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Mean over tracks of Pearson's r over all bins of the regions drawn: (R, L, T) twice and (B, R) → (B,)."""
    x, y = x - x.mean(axis=(0, 1)), y - y.mean(axis=(0, 1))
    total = draws.sum(axis=1, keepdims=True) * x.shape[1]
    of_x, of_y, of_xx, of_yy, of_xy = (draws @ each.sum(axis=1) for each in (x, y, x * x, y * y, x * y))
    covariance = of_xy - of_x * of_y / total
    variances = (of_xx - of_x**2 / total) * (of_yy - of_y**2 / total)
    with np.errstate(invalid="ignore"):  # nothing to correlate where a track is constant over what was drawn
        return (covariance / np.sqrt(variances)).mean(axis=1)


def _with_interval(name: str, values: np.ndarray) -> dict[str, Any]:
    """The first of `values` (1 + B,), and the interval of the others."""
    interval = np.nanpercentile(values[1:], [LOW, HIGH])
    return {name: round(float(values[0]), 4), "interval": [round(float(end), 4) for end in interval]}


def _mean_by(group: np.ndarray, value: np.ndarray) -> np.ndarray:
    """(N,): the mean value of each element's group."""
    return (np.bincount(group, value) / np.maximum(np.bincount(group), 1))[group]


def _pearson(x: np.ndarray, y: np.ndarray) -> float | None:
    if min(x.std(), y.std()) < _CONSTANT:
        return None
    return round(float(np.corrcoef(x, y)[0, 1]), 4)


def _pool(x: np.ndarray, by: int) -> np.ndarray:
    """(L, T) summed over `by` bins: (L // by, T)."""
    return x.reshape(-1, by, x.shape[-1]).sum(axis=1)


if __name__ == "__main__":
    main()
