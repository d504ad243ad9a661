"""How a checkpoint's effects agree with saturation mutagenesis: `python -m vepscore.train.mpra DATA CHECKPOINT`.

Prints JSON: for each regulatory element Spearman's rho between measured and predicted effects of its variants.
The measured effect is the reporter's log2 fold change; the predicted one is log2(1 + Σ alt) - log2(1 + Σ ref) of
the signal in the 501 bp around the variant, as the scorers of local activity have it, averaged over the tracks
of an output: over all of them, and over those of the cell type that was measured where there are any.

A reporter holds the element and little else, and the elements are at most 601 bp long. An element lies in the
middle of its window: with its genomic surroundings where the sequence at hand holds it, otherwise alone, with N
to both sides. Its own sequence is the reference bases of the table, so every position must have one.

Coordinates are 0-based and half-open. Axes: V variants, E bp of an element, S bp of a window, T tracks.
Source: Kircher et al., Nature Communications 10:3583 (2019), Tables 1 and 2 (cell types).
"""

import argparse
import dataclasses
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from flax import nnx
from scipy.stats import spearmanr

from vepscore.genome.cache import cache_dir
from vepscore.genome.windows import UNKNOWN, encode_bases
from vepscore.model.checkpoint import LOADED_ORGANISM, Checkpoint, load_checkpoint
from vepscore.model.config import TRACK_RESOLUTIONS_BP
from vepscore.model.network import one_hot
from vepscore.outputs import Output, Tracks
from vepscore.train.data import Piece, read_pieces

TABLE = "mpra_saturation_mutagenesis.tsv.gz"
MIN_BARCODES = 10  # fewer leave the measured effect to chance, as the authors say
SIGNAL_BP = 501
WINDOW_BP = 4096  # of 2,048 there would be one bin of pairs, whose products XLA refuses on a CPU
DELETED = -1
_BATCH_BP = 32_768  # of windows predicted at a time; more is slower on a CPU
_CODES = 8  # above every `alternate`, to number variants

# By the start of the element's name, the first that fits.
_CELL_TYPES = {
    "BCL11A": "HEL",
    "F9": "HepG2",
    "FOXE1": "HeLa",
    "GP1BA": "HEL",
    "HBB": "HEL",
    "HBG1": "HEL",
    "HNF4A": "HEK293T",
    "IRF4": "SK-MEL-28",
    "IRF6": "HaCaT",
    "LDLR": "HepG2",
    "MSMB": "HEK293T",
    "MYCrs11986220": "LNCaP",
    "MYCrs6983267": "HEK293T",
    "PKLR": "K562",
    "RET": "Neuro-2a",
    "SORT1": "HepG2",
    "TCF7L2": "MIN6",
    "TERT-G": "SF7996",
    "TERT-HEK": "HEK293T",
    "UC88": "Neuro-2a",
    "ZFAND3": "MIN6",
    "ZRS": "NIH/3T3",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """A regulatory element and what its variants did to it."""

    name: str
    chrom: str
    start0: int  # GRCh38
    codes: np.ndarray  # uint8 (E,): A C G T = 0 1 2 3
    position: np.ndarray  # int64 (V,): of each variant, from the element's start
    alternate: np.ndarray  # int8 (V,): code of the base put there, or DELETED
    effect: np.ndarray  # float64 (V,): measured, log2

    @property
    def cell_type(self) -> str:
        """What it was measured in; "" where that is not known."""
        return next((cell for start, cell in _CELL_TYPES.items() if self.name.startswith(start)), "")

    @property
    def variant_key(self) -> np.ndarray:
        """int64 (V,): a number for each variant, the same in all elements of this sequence."""
        return self.position * _CODES + self.alternate - DELETED


def main() -> None:
    """Reads the data and the checkpoint, and prints what they give."""
    parser = argparse.ArgumentParser(prog="python -m vepscore.train.mpra", description=__doc__)
    parser.add_argument("data", type=Path, help=f"folder with {TABLE} and sequence")
    parser.add_argument("checkpoint", type=Path, help="checkpoint directory")
    parser.add_argument(
        "--window", type=int, default=WINDOW_BP, help="bp, 4,096 or another multiple of 2,048"
    )
    parser.add_argument("--element", action="append", help="evaluate only this one; repeatable")
    options = parser.parse_args()
    pieces = read_pieces([options.data / f"hg38_{part}.fa.gz" for part in ("native", "slices")], cache_dir())
    elements, left_out = read_elements(options.data / TABLE)
    if options.element:
        elements = [element for element in elements if element.name in options.element]
        left_out = {name: reason for name, reason in left_out.items() if name in options.element}
    figures = evaluate_elements(load_checkpoint(options.checkpoint), elements, pieces, options.window)
    print(json.dumps(figures | {"left_out": left_out}, indent=2))


def read_elements(path: Path) -> tuple[list[Element], dict[str, str]]:
    """The elements of the table in GRCh38, and why the others cannot be rebuilt, by name.

    Variants with fewer than MIN_BARCODES barcodes and those without a position are left out, but their
    reference bases count.
    """
    table = pd.read_csv(path, sep="\t", dtype={"Chrom": str, "Ref": str, "Alt": str})
    table = table[(table["Release"] == "GRCh38") & table["Pos"].notna()]
    elements, left_out = [], {}
    for name, rows in table.groupby("Element", sort=True):
        try:
            elements.append(_element(str(name), rows))
        except ValueError as error:
            left_out[str(name)] = str(error)
    return elements, left_out


def evaluate_elements(
    checkpoint: Checkpoint, elements: Sequence[Element], pieces: Sequence[Piece], window_bp: int
) -> dict[str, object]:
    """Spearman's rho of each element by output, and by output and cell type where tracks name it.

    `mean` is the plain mean over elements. None stands where an effect does not vary.
    """
    predict = _effect_predictor(checkpoint, window_bp)
    figures = {}
    for alike in _by_sequence(elements):
        window, surroundings = place(alike[0], pieces, window_bp)
        keys = np.unique(np.concatenate([element.variant_key for element in alike]))
        positions = _bases_before(alike[0], window_bp) + keys // _CODES
        effects = predict(window, positions, keys % _CODES + DELETED)
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


def place(element: Element, pieces: Sequence[Piece], window_bp: int) -> tuple[np.ndarray, str]:
    """The window with an element in its middle, and what surrounds it: "genome" or "N".

    Returns uint8 (S + 1,): the base past the window's end moves in when a variant deletes one.

    Raises:
        ValueError: the window is narrower than the element, or a piece has other bases there.
    """
    length = len(element.codes)
    before = _bases_before(element, window_bp)
    for piece in pieces:
        if piece.chrom == element.chrom and piece.start0 <= element.start0 <= piece.end0 - length:
            window = piece.window(element.start0 - before, window_bp + 1)
            other = int((window[before : before + length] != element.codes).sum())
            if other:
                raise ValueError(
                    f"{element.name}: the FASTA has other bases at {other} of {length} positions"
                )
            return window, "genome"
    window = np.full(window_bp + 1, UNKNOWN, np.uint8)
    window[before : before + length] = element.codes
    return window, "N"


def mutate(window: np.ndarray, position: int, alternate: int) -> np.ndarray:
    """The window (S + 1,) with one variant, uint8 (S,); a deletion draws the last base in."""
    if alternate == DELETED:
        return np.delete(window, position)
    changed = window[:-1].copy()
    changed[position] = alternate
    return changed


def _bases_before(element: Element, window_bp: int) -> int:
    if window_bp < len(element.codes):
        raise ValueError(f"{element.name} has {len(element.codes)} bp, more than a window of {window_bp}")
    return (window_bp - len(element.codes)) // 2


def _element(name: str, rows: pd.DataFrame) -> Element:
    chrom = rows["Chrom"].iloc[0]
    start0, codes = rebuild(rows["Pos"].to_numpy(np.int64) - 1, rows["Ref"].to_numpy(object))
    kept = rows[rows["Barcodes"] >= MIN_BARCODES]
    alternates = kept["Alt"].to_numpy(object)
    if odd := sorted(set(alternates) - set("ACGT-")):
        raise ValueError(f"alternate {odd[0]!r} is neither a base nor a deletion")
    return Element(
        name=name,
        chrom=f"chr{chrom}",
        start0=start0,
        codes=codes,
        position=kept["Pos"].to_numpy(np.int64) - 1 - start0,
        alternate=np.array([DELETED if base == "-" else "ACGT".index(base) for base in alternates], np.int8),
        effect=kept["Coefficient"].to_numpy(np.float64),
    )


def rebuild(positions0: np.ndarray, bases: np.ndarray) -> tuple[int, np.ndarray]:
    """An element's start and codes uint8 (E,) from the reference base of each variant.

    Args:
        positions0: int64 (V,), of the variants on the chromosome.
        bases: str (V,), one base each.

    Raises:
        ValueError: a position between the first and the last has no base, or two different ones.
    """
    start0, end0 = int(positions0.min()), int(positions0.max()) + 1
    codes = np.full(end0 - start0, UNKNOWN, np.uint8)
    known = encode_bases("".join(bases).encode())
    if len(known) != len(positions0):
        raise ValueError("a reference allele is not one base")
    codes[positions0 - start0] = known
    if (codes[positions0 - start0] != known).any():
        raise ValueError("a position has two reference bases")
    missing = np.flatnonzero(codes == UNKNOWN)
    if len(missing):
        first = start0 + int(missing[0]) + 1
        raise ValueError(
            f"no reference base at {len(missing)} of {len(codes)} positions, the first at {first} (1-based)"
        )
    return start0, codes


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
            codes = np.stack([mutate(window, positions[i], alternates[i]) for i in chosen])
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
    return round(float(spearmanr(measured, predicted).statistic), 4)


def _means(figures: Sequence[dict[str, float | None]]) -> dict[str, float]:
    """Mean by key over the figures that have it."""
    keys = dict.fromkeys(key for figure in figures for key in figure)
    values = {key: [f[key] for f in figures if f.get(key) is not None] for key in keys}
    return {key: round(float(np.mean(found)), 4) for key, found in values.items() if found}


if __name__ == "__main__":
    main()
