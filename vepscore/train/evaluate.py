"""What a checkpoint measures on chromosomes that it never saw: `python -m vepscore.train.evaluate DATA CHECKPOINT`.

Prints JSON. Splice sites are judged per nucleotide on both strands, over all annotated transcripts; tracks by the
correlation of their logarithms in 128 bp bins.
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

from vepscore.genome.annotation import Annotation
from vepscore.genome.cache import cache_dir
from vepscore.model.checkpoint import LOADED_ORGANISM, Checkpoint, load_checkpoint
from vepscore.model.config import MAX_WINDOW_BP, TRACK_RESOLUTIONS_BP
from vepscore.model.network import one_hot
from vepscore.outputs import SPLICE_CLASSES, Output
from vepscore.train.contacts import ContactData
from vepscore.train.data import SpliceData, Split, read_pieces
from vepscore.train.tracks import TrackData

CONTEXT_BP = 131_072
_COARSE_BP = 128
_CONSTANT = 1e-9  # standard deviation that is rounding error


def main() -> None:
    """Reads the data and the checkpoint, and prints what they give."""
    parser = argparse.ArgumentParser(prog="python -m vepscore.train.evaluate", description=__doc__)
    parser.add_argument("data", type=Path, help="folder with sequence, annotation and tracks")
    parser.add_argument("checkpoint", type=Path, help="checkpoint directory")
    parser.add_argument("--window", type=int, default=MAX_WINDOW_BP, help="bp")
    options = parser.parse_args()
    pieces = read_pieces([options.data / f"hg38_{part}.fa.gz" for part in ("native", "slices")], cache_dir())
    annotation = Annotation.from_gtf(options.data / "refseq_hg38.gtf.gz", cache_dir())
    checkpoint = load_checkpoint(options.checkpoint)
    splice = SpliceData(pieces, annotation, Split.TEST)
    tracks = TrackData(options.data / "tracks_32bp.npz", pieces)
    figures = {
        "window_bp": options.window,
        "splice_sites": evaluate_splice_sites(checkpoint, splice, options.window),
        "tracks": evaluate_tracks(checkpoint, tracks),
    }
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


def evaluate_tracks(checkpoint: Checkpoint, data: TrackData) -> dict[str, float]:
    """Mean over the tracks of each output of Pearson's r between log(1 + coverage), over all test bins."""
    batches = list(data.region_batches(Split.TEST))
    bins = _COARSE_BP // 32
    figures = {}
    for output, columns in data.columns.items():
        predict = _predictor(checkpoint, output)
        predicted, measured = [], []
        for batch in batches:
            fine = predict(batch.codes)
            predicted.append(_pool(fine, _COARSE_BP))
            measured.append(_pool(batch.targets[..., columns], bins))
        x, y = (np.log1p(np.concatenate(each).reshape(-1, len(columns))) for each in (predicted, measured))
        correlations = [np.corrcoef(x[:, track], y[:, track])[0, 1] for track in range(len(columns))]
        figures[str(output)] = round(float(np.mean(correlations)), 4)
    return figures


def evaluate_contacts(checkpoint: Checkpoint, data: ContactData, window_bp: int) -> dict[str, float | None]:
    """Pearson's r between predicted and drawn contacts, over the pairs of bins above the diagonal of all test windows.

    Domains lie near the diagonal, so a network that knows distance alone correlates as well: `distance_only` is
    what the drawn maps' own mean at each distance reaches, and `pearson_within_distance` what remains when
    the mean at each distance is taken off both. None stands where one side is constant.
    """
    predict = _predictor(checkpoint, Output.CONTACT_MAPS)
    predicted, drawn, distance, windows = [], [], [], 0
    for batch in data.region_batches(Split.TEST, window_bp):
        contacts = predict(batch.codes)
        upper = np.triu(np.ones(contacts.shape[1:3], bool), k=1) & batch.measured
        _, first, second = np.nonzero(upper)
        predicted.append(contacts[upper, 0].astype(np.float64))
        drawn.append(batch.targets[upper, 0].astype(np.float64))
        distance.append(second - first)
        windows += len(batch.codes)
    x, y, bins_apart = (np.concatenate(each) for each in (predicted, drawn, distance))
    x_mean, y_mean = (_mean_by(bins_apart, each) for each in (x, y))
    return {
        "windows": windows,
        "pearson": _pearson(x, y),
        "distance_only": _pearson(y_mean, y),
        "pearson_within_distance": _pearson(x - x_mean, y - y_mean),
    }


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
    """(B, L, T) summed over `by` bins: (B, L // by, T)."""
    return x.reshape(x.shape[0], -1, by, x.shape[-1]).sum(axis=2)


if __name__ == "__main__":
    main()
