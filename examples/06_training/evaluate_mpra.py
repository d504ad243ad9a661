"""Compare a checkpoint's predicted effects with saturation mutagenesis of regulatory elements.

    python examples/06_training/evaluate_mpra.py DATA CHECKPOINT

Prints JSON: for each element Spearman's rho between measured and predicted effects of its variants. The measured effect
is the reporter's log2 fold change. The predicted one is log2(1 + Σ alt) - log2(1 + Σ ref) of the signal in the 501 bp
around the variant, as in the local activity scorers, averaged over the tracks of an output: over all of them, and over
those of the cell type that was assayed, if there are any.

A reporter contains the element and little else, and elements are at most 601 bp long. The element is centered in its
window: with its genomic context if the FASTA contains it, otherwise with N on both sides. Its own sequence is the
reference bases of the table, so every position must have one.

Coordinates are 0-based and half-open. Axes: V variants, B windows, S bp of a window, T tracks.

Source of the measurements: Kircher et al., Nature Communications 10:3583 (2019).
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import typer
from flax import nnx
from mpra_elements import MIN_BARCODES, Element, bases_before, place, put_variant, read_elements

from vepscore.cli.main import run_script
from vepscore.engine.device import find_devices
from vepscore.engine.settings import fixed_settings, set_up_process
from vepscore.errors import UsageError
from vepscore.evaluate.metrics import spearman
from vepscore.genome.cache import cache_dir
from vepscore.model.checkpoint import Checkpoint, load_checkpoint
from vepscore.model.network import LOADED_ORGANISM, one_hot
from vepscore.networks.alphagenome.config import TRACK_RESOLUTIONS_BP, scored_resolution_bp
from vepscore.outputs import Output, Tracks
from vepscore.train.segments import Segment, read_segments

TABLE = "mpra_saturation_mutagenesis.tsv.gz"
SIGNAL_BP = 501
WINDOW_BP = 4096  # the smallest: with 2,048 bp there is one pair bin, whose products XLA rejects on a CPU
_BATCH_BP = 32_768  # total width of the windows in a batch; more is slower on a CPU


def main(
    data: Annotated[Path, typer.Argument(metavar="DATA", help=f"Directory with {TABLE} and the sequence.")],
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="Checkpoint directory.")],
    window: Annotated[int, typer.Option(help="Window width in bp, a multiple of 2,048.")] = WINDOW_BP,
    element: Annotated[
        list[str] | None, typer.Option(help="Element to evaluate; may be repeated. Default: all elements.")
    ] = None,
) -> None:
    """Print how a checkpoint's predicted effects agree with saturation mutagenesis, as JSON."""
    if window < WINDOW_BP or window % 2048:
        raise UsageError(
            f"--window {window}: found {window}, expected a multiple of 2,048 not below {WINDOW_BP:,}"
        )
    set_up_process(deterministic=False)
    find_devices("auto")
    with fixed_settings():
        segments = read_segments([data / f"hg38_{name}.fa.gz" for name in ("native", "slices")], cache_dir())
        elements, excluded = read_elements(data / TABLE)
        if element:
            elements = [each for each in elements if each.name in element]
            excluded = {name: reason for name, reason in excluded.items() if name in element}
        metrics = evaluate_elements(load_checkpoint(checkpoint), elements, segments, window)
    metrics["excluded"] = excluded | metrics["excluded"]
    print(json.dumps(metrics, indent=2))


def evaluate_elements(
    checkpoint: Checkpoint, elements: Sequence[Element], segments: Sequence[Segment], window_bp: int
) -> dict[str, Any]:
    """Return Spearman's rho of each element by output, and by output and cell type if tracks name it.

    `mean` is the unweighted mean over elements; `excluded` says why an element does not fit a window. Rho is None if an
    effect does not vary.
    """
    predict = _effect_predictor(checkpoint, window_bp)
    metrics: dict[str, Any] = {}
    excluded: dict[str, str] = {}
    for alike in _by_sequence(elements):
        try:
            window, context = place(alike[0], segments, window_bp)
        except ValueError as error:
            excluded |= {element.name: str(error) for element in alike}
            continue
        keys = np.unique(np.concatenate([element.variant_key for element in alike]))
        positions, alternates = Element.of_key(keys)
        effects = predict(window, bases_before(alike[0], window_bp) + positions, alternates)
        for element in alike:
            rows = np.searchsorted(keys, element.variant_key)
            metrics[element.name] = {
                "cell_type": element.cell_type,
                "context": context,
                "variants": len(rows),
                "spearman": _correlations(
                    element, {output: effect[rows] for output, effect in effects.items()}, checkpoint.tracks
                ),
            }
    return {
        "window_bp": window_bp,
        "signal_bp": SIGNAL_BP,
        "min_barcodes": MIN_BARCODES,
        "elements": dict(sorted(metrics.items())),
        "mean": _means([each["spearman"] for each in metrics.values()]),
        "excluded": excluded,
    }


def _by_sequence(elements: Sequence[Element]) -> list[list[Element]]:
    """Group elements of the same position and sequence: most were assayed more than once."""
    groups: dict[tuple[str, int, bytes], list[Element]] = {}
    for element in elements:
        groups.setdefault((element.chrom, element.start0, element.codes.tobytes()), []).append(element)
    return list(groups.values())


def _correlations(
    element: Element, effects: dict[Output, np.ndarray], tracks: Mapping[Output, Tracks]
) -> dict[str, float | None]:
    """Return rho by output and, if tracks are of the element's cell type, by output and cell type."""
    rho: dict[str, float | None] = {}
    for output, effect in effects.items():
        rho[str(output)] = _spearman(element.effect, effect.mean(axis=1))
        matched = _of_cell_type(tracks[output], element.cell_type)
        if matched.any():
            rho[f"{output}, its cell type"] = _spearman(element.effect, effect[:, matched].mean(axis=1))
    return rho


def _effect_predictor(
    checkpoint: Checkpoint, window_bp: int
) -> Callable[[np.ndarray, np.ndarray, np.ndarray], dict[Output, np.ndarray]]:
    """Return a function of a window (S + 1,), positions in it and alternates, both (V,): effects (V, T) by output."""
    graph, state = nnx.split(checkpoint.network)
    outputs = [output for output in checkpoint.tracks if output in TRACK_RESOLUTIONS_BP]
    batch = max(_BATCH_BP // window_bp, 1)

    @jax.jit
    def predict(state: nnx.State, codes: jax.Array) -> dict[Output, jax.Array]:
        network = nnx.merge(graph, state)
        embeddings = network(one_hot(codes, jnp.float32), LOADED_ORGANISM, rotary_dtype=jnp.float32)
        return {
            output: network.heads[str(output)](
                embeddings.of(output), LOADED_ORGANISM, resolution_bp=scored_resolution_bp(output)
            )[..., checkpoint.tracks[output].channel]
            for output in outputs
        }

    @jax.jit
    def log_sums(signals: dict[Output, jax.Array], centers: jax.Array) -> dict[Output, jax.Array]:
        sums = {output: sum_around(signal, centers, output) for output, signal in signals.items()}
        return {output: jnp.log2(1 + total) for output, total in sums.items()}

    def effects(
        window: np.ndarray, positions: np.ndarray, alternates: np.ndarray
    ) -> dict[Output, np.ndarray]:
        reference = predict(state, window[None, :-1])
        parts = []
        for first in range(0, len(positions), batch):
            # Pad the last batch with the last variant, so that nothing is recompiled.
            chosen = np.minimum(np.arange(first, first + batch), len(positions) - 1)
            codes = np.stack([put_variant(window, positions[i], alternates[i]) for i in chosen])
            changed = log_sums(predict(state, codes), positions[chosen])
            unchanged = log_sums(reference, positions[chosen])
            parts.append({output: np.asarray(changed[output] - unchanged[output]) for output in outputs})
        return {
            output: np.concatenate([part[output] for part in parts])[: len(positions)] for output in outputs
        }

    return effects


def sum_around(signal: jax.Array, centers: jax.Array, output: Output) -> jax.Array:
    """Return the signal summed over SIGNAL_BP, rounded up to whole bins, around a position of each window: (V, T).

    Args:
        signal: (V, bins, T), or (1, bins, T) if all positions are in one window.
        centers: int (V,), bp from the window's start.
        output: its resolution is that of the bins.
    """
    width = -(-SIGNAL_BP // scored_resolution_bp(output))
    first = (centers // scored_resolution_bp(output) - width // 2)[:, None]
    bins = jnp.arange(signal.shape[1])
    around = ((bins >= first) & (bins < first + width)).astype(signal.dtype)
    return (around[:, None, :] @ signal)[:, 0]


def _of_cell_type(tracks: Tracks, cell_type: str) -> np.ndarray:
    """Return bool (T,): tracks whose biosample has the cell type among its words."""
    word = re.compile(rf"(?<![\w-]){re.escape(cell_type)}(?![\w-])", re.IGNORECASE)
    return np.array([bool(cell_type) and bool(word.search(name)) for name in tracks.biosample_name])


def _spearman(measured: np.ndarray, predicted: np.ndarray) -> float | None:
    if len(measured) < 2 or np.ptp(measured) == 0 or np.ptp(predicted) == 0:
        return None
    (rho,) = spearman(predicted, measured, draws=np.ones((1, len(measured))))
    return round(float(rho), 4)


def _means(metrics: Sequence[dict[str, float | None]]) -> dict[str, float]:
    """Return the mean of each key over the elements that have it."""
    keys = dict.fromkeys(key for each in metrics for key in each)
    values = {key: [each[key] for each in metrics if each.get(key) is not None] for key in keys}
    return {key: round(float(np.mean(found)), 4) for key, found in values.items() if found}


if __name__ == "__main__":
    run_script(main)
