"""What a checkpoint measures on chromosomes that it never saw.

    python -m vepscore.train.evaluate RECIPE.toml DATA CHECKPOINT

Prints JSON. Splice sites are judged per nucleotide on both strands, over all annotated transcripts; tracks by the
correlation of their logarithms in 128 bp bins of the regions for testing.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from sklearn.metrics import average_precision_score

from vepscore.genome.windows import UNKNOWN
from vepscore.model.checkpoint import LOADED_ORGANISM, Checkpoint, load_checkpoint
from vepscore.model.config import MAX_WINDOW_BP, TRACK_RESOLUTIONS_BP
from vepscore.model.network import one_hot
from vepscore.outputs import SPLICE_CLASSES, Output
from vepscore.train.contacts import BIN_BP as CONTACT_BIN_BP
from vepscore.train.recipe import read_recipe
from vepscore.train.run import TrainingData, read_data
from vepscore.train.splice import SpliceData
from vepscore.train.tracks import BIN_BP

CONTEXT_BP = 131_072
_COARSE_BP = 128
_CONSTANT = 1e-9  # standard deviation that is rounding error


def main() -> None:
    """Reads the data and the checkpoint, and prints what they give."""
    parser = argparse.ArgumentParser(prog="python -m vepscore.train.evaluate", description=__doc__)
    parser.add_argument("recipe", type=Path, help="what the checkpoint was trained by")
    parser.add_argument("data", type=Path, help="folder with the files that it names")
    parser.add_argument("checkpoint", type=Path, help="checkpoint directory")
    parser.add_argument("--window", type=int, default=MAX_WINDOW_BP, help="bp")
    parser.add_argument("--chromosomes", nargs="+", help="for splice sites; default: those for testing")
    options = parser.parse_args()
    data = read_data(read_recipe(options.recipe), options.data)
    checkpoint = load_checkpoint(options.checkpoint)
    splice = data.splice_on(options.chromosomes or data.test)
    figures = {
        "window_bp": options.window,
        "splice_sites": evaluate_splice_sites(checkpoint, splice, options.window),
        "tracks": evaluate_tracks(checkpoint, data),
    }
    if data.contacts is not None and Output.CONTACT_MAPS in checkpoint.tracks:
        figures["contacts"] = evaluate_contacts(checkpoint, data, options.window)
    print(json.dumps(figures, indent=2))


def evaluate_splice_sites(
    checkpoint: Checkpoint, data: SpliceData, window_bp: int
) -> dict[str, dict[str, float]]:
    """Average precision (AUPRC) and top-k accuracy of donors and acceptors."""
    predict = _predictor(checkpoint, Output.SPLICE_SITES)
    context_bp = min(CONTEXT_BP, window_bp // 4)
    truths: dict[str, list[np.ndarray]] = {"donor": [], "acceptor": []}
    scores: dict[str, list[np.ndarray]] = {"donor": [], "acceptor": []}
    for batch in data.tile_windows(window_bp, context_bp):
        probability = predict(batch.codes)[batch.valid]
        for site_class, name in enumerate(SPLICE_CLASSES):
            kind = name.rstrip("+-")
            truths[kind].append(batch.classes[batch.valid] == site_class)
            scores[kind].append(probability[:, site_class])
    return {kind: _rank(np.concatenate(truths[kind]), np.concatenate(scores[kind])) for kind in truths}


def evaluate_tracks(checkpoint: Checkpoint, data: TrainingData) -> dict[str, float]:
    """Mean over the tracks of each output of Pearson's r between log(1 + coverage), over all bins of the regions."""
    regions = [region for region in data.tracks.regions if region.is_test]
    codes = [_codes(data, *region.interval) for region in regions]
    coverage = [
        data.tracks.window(region.chrom, region.start0, region.end0 - region.start0)[0] for region in regions
    ]
    figures = {}
    for output, columns in data.tracks.columns.items():
        predict = _predictor(checkpoint, output)
        predicted = [_pool(predict(each[None])[0], _COARSE_BP) for each in codes]
        measured = [_pool(each[:, columns], _COARSE_BP // BIN_BP) for each in coverage]
        x, y = (np.log1p(np.concatenate(each)) for each in (predicted, measured))
        correlations = [np.corrcoef(x[:, track], y[:, track])[0, 1] for track in range(len(columns))]
        figures[str(output)] = round(float(np.mean(correlations)), 4)
    return figures


def evaluate_contacts(checkpoint: Checkpoint, data: TrainingData, window_bp: int) -> dict[str, float | None]:
    """Pearson's r between predicted and drawn contacts, over the pairs of bins above the diagonal of all test windows.

    Domains lie near the diagonal, so a network that knows distance alone correlates as well: `distance_only` is
    what the drawn maps' own mean at each distance reaches, and `pearson_within_distance` what remains when
    the mean at each distance is taken off both. None stands where one side is constant. Windows lie side by side;
    stretches that fill less than half of one are left out.
    """
    predict = _predictor(checkpoint, Output.CONTACT_MAPS)
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


def _predictor(checkpoint: Checkpoint, output: Output) -> Callable[[np.ndarray], np.ndarray]:
    """codes (B, S) to predictions (B, S, T) at 1 bp; of contact maps (B, S // 2048, S // 2048, T)."""
    graph, state = nnx.split(checkpoint.network)
    options = {"resolution_bp": 1} if output in TRACK_RESOLUTIONS_BP else {}

    @jax.jit
    def predict(state: nnx.State, codes: jax.Array) -> jax.Array:
        network = nnx.merge(graph, state)
        organism = LOADED_ORGANISM
        embeddings = network(one_hot(codes, jnp.float32), organism, rotary_dtype=jnp.float32)
        return network.heads[str(output)](embeddings.of(output), organism, **options)

    return lambda codes: np.asarray(predict(state, codes))


def _rank(truth: np.ndarray, score: np.ndarray) -> dict[str, float]:
    count = int(truth.sum())
    top = np.argpartition(-score, count)[:count]
    return {
        "sites": count,
        "auprc": round(float(average_precision_score(truth, score)), 4),
        "top_k": round(float(truth[top].mean()), 4),
    }


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
