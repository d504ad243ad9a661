"""What the tests of Borzoi share: tables of targets, and a network imported from the parameters of a case."""

import math
from collections.abc import Iterator
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import nnx

from tests.networks.borzoi.borzoi_reference import Case, input_codes, parameter, random_numbers
from vepscore.model.family import abstract_network
from vepscore.model.loading import stored_variables
from vepscore.model.network import OrganismParam, one_hot
from vepscore.networks.borzoi.config import BorzoiConfig
from vepscore.networks.borzoi.family import FAMILY
from vepscore.networks.borzoi.heads import SquashedHead
from vepscore.networks.borzoi.network import Borzoi
from vepscore.networks.state_dict_family import ImportedNetwork
from vepscore.networks.targets import Targets

_COLUMNS = "\tidentifier\tfile\tclip\tclip_soft\tscale\tsum_stat\tstrand_pair\tdescription\n"

# identifier, clip_soft, scale, sum_stat, strand_pair, description; two of the tables, with tracks of all kinds
HUMAN = (
    ("C1+", 0.9, 1.0, "sum", 1, "CAGE:blood, pool1"),
    ("C1-", 0.9, 1.0, "sum", 0, "CAGE:blood, pool1"),
    ("D1", 0.7, 2.0, "mean", 2, "DNASE:cerebellum male adult (27 years)"),
    ("A1", 250.0, 0.01, "sum", 3, "ATAC:BM0106 / Bone Marrow / pDC"),
    ("T1", 32, 2.0, "mean", 4, "CHIP:CTCF:MCF-7"),
    ("H1", 32, 2.0, "mean", 5, "CHIP:H3K4me3:GM12878"),
    ("R1+", 2.0, 0.3, "sum_sqrt", 7, "RNA:K562 treated: once"),
    ("R1-", 2.0, 0.3, "sum_sqrt", 6, "RNA:K562 treated: once"),
    ("R2", 384, 0.01, "sum_sqrt", 8, "RNA:adrenal gland"),
)
MOUSE = (
    ("M1", 384, 0.3, "sum_sqrt", 0, "RNA:C2C12"),
    ("G1", 64, 1.0, "sum", 1, "GRO:GRO-seq WT Liver ZT1 / liver / ."),
    ("A2", 32, 2.0, "mean", 2, "ATAC:kidney"),
    ("A3", 32, 4.0, "mean", 3, "ATAC:heart"),
)
Rows = tuple[tuple[str, float, float, str, int, str], ...]


def write_table(path: Path, rows: Rows) -> Path:
    """Write a table of targets."""
    lines = [
        f"{index}\t{identifier}\tx.w5\t768\t{soft_clip}\t{scale}\t{statistic}\t{pair}\t{description}\n"
        for index, (identifier, soft_clip, scale, statistic, pair, description) in enumerate(rows)
    ]
    path.write_text(_COLUMNS + "".join(lines))
    return path


def state_dict(case: Case) -> dict[str, np.ndarray]:
    """Return the parameters of a case, by their names in `borzoi_pytorch.Borzoi`."""
    return {
        name: parameter(name, shape, random_numbers(name, math.prod(shape))) for name, shape in _shapes(case)
    }


def create_network(imported: ImportedNetwork[BorzoiConfig], *, organism_index: int) -> Borzoi:
    """Return the network of a checkpoint with these arrays, opened for one organism."""
    network = abstract_network(FAMILY, imported.architecture)
    assert isinstance(network, Borzoi)
    filled = []
    for name, (path, leaf) in stored_variables(network).items():
        array = imported.arrays[name]
        array = array[organism_index][None] if isinstance(leaf, OrganismParam) else array
        filled.append((path, leaf.replace(jnp.asarray(array))))
    nnx.update(network, nnx.from_flat_state(filled))
    return network


@nnx.jit
def embed(network: Borzoi, dna: jnp.ndarray) -> jnp.ndarray:
    """Return the embeddings of a window, (bins, channels)."""
    return network.embed(dna, 0)[0]


def published_columns(
    network: Borzoi, targets: Targets, embeddings: jnp.ndarray, *, squashed: bool
) -> dict[int, np.ndarray]:
    """Return the predictions by their column in the published head, each (bins,)."""
    columns = {}
    for output, of_output in targets.columns.items():
        head = network.heads[str(output)]
        assert isinstance(head, SquashedHead)
        values = head.squashed(embeddings, 0) if squashed else head(embeddings, 0)
        columns |= {int(column): np.asarray(values)[..., index] for index, column in enumerate(of_output)}
    return columns


def input_dna(case: Case) -> jnp.ndarray:
    """Return the one-hot window of a case, a batch of one."""
    return one_hot(input_codes(case.trunk_bins * 128), jnp.float32)[None]


def _shapes(case: Case) -> Iterator[tuple[str, tuple[int, ...]]]:
    channels = (case.stem, *case.tower)
    *_, at_32bp, trunk = channels
    yield from _conv("conv_dna.conv_layer", 4, case.stem, 15)
    names = ("res_tower.0", "res_tower.2", "res_tower.4", "res_tower.6", "res_tower.8", "unet1.1")
    for name, before, after in zip(names, channels[:-1], channels[1:], strict=True):
        yield from _block(name, before, after, 5)
    for layer in range(case.depth):
        yield from _layer(f"transformer.{layer}", case)
    for number, skipped in ((1, trunk), (0, at_32bp)):
        yield from _block(f"upsampling_unet{number}.0", trunk, trunk, 1)
        yield from _block(f"horizontal_conv{number}", skipped, trunk, 1)
        yield f"separable{number}.conv_layer.0.weight", (trunk, 1, 3)
        yield from _conv(f"separable{number}.conv_layer.1", trunk, trunk, 1)
    yield from _block("final_joined_convs.0", trunk, case.embedding, 1)
    for organism, tracks in zip(("human", "mouse"), case.tracks, strict=True):
        yield from _conv(f"{organism}_head", case.embedding, tracks, 1)


def _conv(name: str, before: int, after: int, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (after, before, width)
    yield f"{name}.bias", (after,)


def _block(name: str, before: int, after: int, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.norm.{part}", (before,)
    yield f"{name}.norm.num_batches_tracked", ()
    yield from _conv(f"{name}.conv_layer", before, after, width)


def _layer(name: str, case: Case) -> Iterator[tuple[str, tuple[int, ...]]]:
    trunk, keys, values = case.tower[-1], case.heads * case.key, case.heads * case.value
    for part in (f"{name}.0.fn.0", f"{name}.1.fn.0"):
        yield f"{part}.weight", (trunk,)
        yield f"{part}.bias", (trunk,)
    attention = f"{name}.0.fn.1"
    yield f"{attention}.rel_content_bias", (1, case.heads, 1, case.key)
    yield f"{attention}.rel_pos_bias", (1, case.heads, 1, case.key)
    for part, sizes in (("q", (keys, trunk)), ("k", (keys, trunk)), ("v", (values, trunk))):
        yield f"{attention}.to_{part}.weight", sizes
    yield f"{attention}.to_rel_k.weight", (keys, 32)
    yield f"{attention}.to_out.weight", (trunk, values)
    yield f"{attention}.to_out.bias", (trunk,)
    for part, (before, after) in (("1", (trunk, 2 * trunk)), ("4", (2 * trunk, trunk))):
        yield f"{name}.1.fn.{part}.weight", (after, before)
        yield f"{name}.1.fn.{part}.bias", (after,)
