"""How a checkpoint's effects agree with saturation mutagenesis: `python -m vepscore.train.mpra DATA CHECKPOINT`.

Prints JSON: for each regulatory element Spearman's rho between measured and predicted effects of its variants.
The measured effect is the reporter's log2 fold change; the predicted one is log2(1 + Σ alt) - log2(1 + Σ ref) of
the signal in the 501 bp around the variant, as the scorers of local activity have it, averaged over the tracks
of an output: over all of them, and over those of the cell type that was measured where there are any.

A reporter holds the element and little else, and the elements are at most 601 bp long. An element lies in the
middle of its window: with its genomic surroundings where the sequence at hand holds it, otherwise alone, with N
to both sides. Its own sequence is the reference bases of the table, so every position must have one.

Coordinates are 0-based and half-open. Axes: V variants, B windows, S bp of a window, T tracks.
Source of the measurements: Kircher et al., Nature Communications 10:3583 (2019).
"""

import argparse
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vepscore.engine.settings import fixed_settings
from vepscore.evaluate.metrics import spearman
from vepscore.genome.cache import cache_dir
from vepscore.model.checkpoint import LOADED_ORGANISM, Checkpoint, load_checkpoint
from vepscore.model.config import TRACK_RESOLUTIONS_BP
from vepscore.model.network import one_hot
from vepscore.outputs import Output, Tracks
from vepscore.train.elements import MIN_BARCODES, Element, bases_before, place, put_variant, read_elements
from vepscore.train.pieces import Piece, read_pieces

TABLE = "mpra_saturation_mutagenesis.tsv.gz"
SIGNAL_BP = 501
WINDOW_BP = 4096  # of 2,048 there would be one bin of pairs, whose products XLA refuses on a CPU
_BATCH_BP = 32_768  # of windows predicted at a time; more is slower on a CPU


@fixed_settings()
def main() -> None:
    """Reads the data and the checkpoint, and prints what they give."""
    parser = argparse.ArgumentParser(prog="python -m vepscore.train.mpra", description=__doc__)
    parser.add_argument("data", type=Path, help=f"folder with {TABLE} and sequence")
    parser.add_argument("checkpoint", type=Path, help="checkpoint directory")
    parser.add_argument(
        "--window", type=int, default=WINDOW_BP, help="bp, a multiple of 2,048 (default: 4096)"
    )
    parser.add_argument("--element", action="append", help="evaluate only this one; repeatable")
    options = parser.parse_args()
    if options.window < WINDOW_BP or options.window % 2048:
        parser.error(f"--window {options.window} is not a multiple of 2,048 from {WINDOW_BP:,} up")
    pieces = read_pieces([options.data / f"hg38_{part}.fa.gz" for part in ("native", "slices")], cache_dir())
    elements, left_out = read_elements(options.data / TABLE)
    if options.element:
        elements = [element for element in elements if element.name in options.element]
        left_out = {name: reason for name, reason in left_out.items() if name in options.element}
    figures = evaluate_elements(load_checkpoint(options.checkpoint), elements, pieces, options.window)
    figures["left_out"] = left_out | figures["left_out"]
    print(json.dumps(figures, indent=2))


def evaluate_elements(
    checkpoint: Checkpoint, elements: Sequence[Element], pieces: Sequence[Piece], window_bp: int
) -> dict[str, Any]:
    """Spearman's rho of each element by output, and by output and cell type where tracks name it.

    `mean` is the plain mean over elements; `left_out` says why an element has no place in a window. None stands
    where an effect does not vary.
    """
    predict = _effect_predictor(checkpoint, window_bp)
    figures, left_out = {}, {}
    for alike in _by_sequence(elements):
        try:
            window, surroundings = place(alike[0], pieces, window_bp)
        except ValueError as error:
            left_out |= {element.name: str(error) for element in alike}
            continue
        keys = np.unique(np.concatenate([element.variant_key for element in alike]))
        positions, alternates = Element.of_key(keys)
        effects = predict(window, bases_before(alike[0], window_bp) + positions, alternates)
        for element in alike:
            rows = np.searchsorted(keys, element.variant_key)
            figures[element.name] = {
                "cell_type": element.cell_type,
                "surroundings": surroundings,
                "variants": len(rows),
                "spearman": _correlations(
                    element, {output: effect[rows] for output, effect in effects.items()}, checkpoint.tracks
                ),
            }
    return {
        "window_bp": window_bp,
        "signal_bp": SIGNAL_BP,
        "min_barcodes": MIN_BARCODES,
        "elements": dict(sorted(figures.items())),
        "mean": _means([figure["spearman"] for figure in figures.values()]),
        "left_out": left_out,
    }


def _by_sequence(elements: Sequence[Element]) -> list[list[Element]]:
    """Elements of one place and sequence together: most were measured more than once."""
    groups: dict[tuple, list[Element]] = {}
    for element in elements:
        groups.setdefault((element.chrom, element.start0, element.codes.tobytes()), []).append(element)
    return list(groups.values())


def _correlations(
    element: Element, effects: dict[Output, np.ndarray], tracks: Mapping[Output, Tracks]
) -> dict[str, float | None]:
    """Rho by output and, where tracks are of the element's cell type, by output and cell type."""
    rho = {}
    for output, effect in effects.items():
        rho[str(output)] = _spearman(element.effect, effect.mean(axis=1))
        matched = _of_cell_type(tracks[output], element.cell_type)
        if matched.any():
            rho[f"{output}, its cell type"] = _spearman(element.effect, effect[:, matched].mean(axis=1))
    return rho


def _effect_predictor(
    checkpoint: Checkpoint, window_bp: int
) -> Callable[[np.ndarray, np.ndarray, np.ndarray], dict[Output, np.ndarray]]:
    """A window (S + 1,), positions in it and alternates, both (V,), to the effects (V, T) by output."""
    graph, state = nnx.split(checkpoint.network)
    outputs = [output for output in checkpoint.tracks if output in TRACK_RESOLUTIONS_BP]
    batch = max(_BATCH_BP // window_bp, 1)

    @jax.jit
    def predict(state: nnx.State, codes: jax.Array) -> dict[Output, jax.Array]:
        network = nnx.merge(graph, state)
        embeddings = network(one_hot(codes, jnp.float32), LOADED_ORGANISM, rotary_dtype=jnp.float32)
        return {
            output: network.heads[str(output)](
                embeddings.of(output), LOADED_ORGANISM, resolution_bp=output.resolution_bp
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
            # The last variant fills the last batch, so that nothing is compiled again.
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
    """The signal summed over SIGNAL_BP, made up to whole bins, around a position of each window: (V, T).

    Args:
        signal: (V, bins, T), or (1, bins, T) where all positions lie in one window.
        centers: int (V,), bp from the window's start.
        output: whose resolution the bins have.
    """
    width = -(-SIGNAL_BP // output.resolution_bp)
    first = (centers // output.resolution_bp - width // 2)[:, None]
    bins = jnp.arange(signal.shape[1])
    around = ((bins >= first) & (bins < first + width)).astype(signal.dtype)
    return (around[:, None, :] @ signal)[:, 0]


def _of_cell_type(tracks: Tracks, cell_type: str) -> np.ndarray:
    """Bool (T,): tracks whose biosample has the cell type among its words."""
    word = re.compile(rf"(?<![\w-]){re.escape(cell_type)}(?![\w-])", re.IGNORECASE)
    return np.array([bool(cell_type) and bool(word.search(name)) for name in tracks.biosample_name])


def _spearman(measured: np.ndarray, predicted: np.ndarray) -> float | None:
    if len(measured) < 2 or np.ptp(measured) == 0 or np.ptp(predicted) == 0:
        return None
    (rho,) = spearman(predicted, measured, draws=np.ones((1, len(measured))))
    return round(float(rho), 4)


def _means(figures: Sequence[dict[str, float | None]]) -> dict[str, float]:
    """Mean by key over the figures that have it."""
    keys = dict.fromkeys(key for figure in figures for key in figure)
    values = {key: [f[key] for f in figures if f.get(key) is not None] for key in keys}
    return {key: round(float(np.mean(found)), 4) for key, found in values.items() if found}


if __name__ == "__main__":
    main()
