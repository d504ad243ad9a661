"""A family of networks as another package would bring it: one convolution, then a softmax or a mean over bins."""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vepscore.model.family import Context, Family
from vepscore.model.network import Network
from vepscore.outputs import Output
from vepscore.schema import CLOSED

REACH_BP = 4
MARGIN_BP = 64  # a multiple of the bins


@dataclasses.dataclass(frozen=True, kw_only=True)
class Motifs:
    """With bins of 1 bp a classifier of splice sites, otherwise a track of transcription factors."""

    __pydantic_config__ = CLOSED

    motifs: int = 5
    bin_bp: int = 1
    organisms: int = 1

    @property
    def heads(self) -> Mapping[Output, int]:
        return {Output.SPLICE_SITES if self.bin_bp == 1 else Output.CHIP_TF: self.motifs}


class MotifNetwork(Network):
    """Slides motifs over the sequence."""

    def __init__(self, config: Motifs, *, rngs: nnx.Rngs) -> None:
        self.config = config
        shape = (2 * REACH_BP + 1, 4, config.motifs)
        self.kernel = nnx.Param(jax.random.normal(rngs.params(), shape))
        self.margin_bp = REACH_BP if config.bin_bp == 1 else MARGIN_BP
        self.reach_bp = REACH_BP if config.bin_bp == 1 else None
        self.kept: tuple[int, ...] | None = None

    @property
    def dtype(self) -> jnp.dtype:
        return self.kernel.dtype

    @property
    def device(self) -> jax.Device:
        return next(iter(self.kernel.devices()))

    def embed(self, dna: jax.Array, organism: jax.Array) -> jax.Array:
        cut = self.margin_bp - REACH_BP
        found = jax.lax.conv_general_dilated(
            dna[:, cut : dna.shape[1] - cut],
            self.kernel[...],
            (1,),
            "VALID",
            dimension_numbers=("NWC", "WIO", "NWC"),
        )
        return found.reshape(len(dna), -1, self.config.bin_bp, self.config.motifs).mean(axis=2)

    def predict(self, output: Output, x: jax.Array, organism: jax.Array) -> jax.Array:
        found = jax.nn.softmax(x) if output is Output.SPLICE_SITES else jax.nn.softplus(x)
        return (
            found.astype(jnp.float32)
            if self.kept is None
            else found[..., np.array(self.kept)].astype(jnp.float32)
        )

    def with_tracks(self, channels: Mapping[Output, np.ndarray]) -> "MotifNetwork":
        network = nnx.merge(*nnx.split(self))
        (kept,) = channels.values()
        network.kept = tuple(map(int, kept))
        return network


class MotifFamily(Family[Motifs]):
    """Networks of motifs."""

    name = "motifs"
    architecture = Motifs

    def create(self, architecture: Motifs, rngs: nnx.Rngs) -> MotifNetwork:
        return MotifNetwork(architecture, rngs=rngs)

    def context(self, architecture: Motifs) -> Context:
        if architecture.bin_bp == 1:
            return Context(least_bp=1_000, most_bp=100_000, margin_bp=REACH_BP)
        bin_bp = architecture.bin_bp
        return Context(least_bp=4_096, most_bp=65_536, step_bp=bin_bp, margin_bp=MARGIN_BP, align_bp=bin_bp)

    def resolution_bp(self, architecture: Motifs, output: Output) -> int:
        return architecture.bin_bp


FAMILY = MotifFamily()
