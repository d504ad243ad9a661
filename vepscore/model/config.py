"""The architecture as data: one family, from the full AlphaGenome size down to a few megabytes.

`ModelConfig()` with its defaults is the full trunk; `ModelConfig.alphagenome()` adds all eleven heads.
Source: google-deepmind/alphagenome_research 0.2.0, `model/model.py` and `model/heads.py`.
"""

import dataclasses
from typing import Any

from vepscore.errors import CheckpointError
from vepscore.outputs import Output

POOLINGS = 7  # encoder and decoder halve and double seven times: 1 bp to 128 bp
TRUNK_BIN_BP = 2**POOLINGS
PAIR_BIN_BP = 2048  # a bin of the pair representation and of contact maps
MAX_WINDOW_BP = 1_048_576

# Outputs predicted as coverage tracks, with the resolutions (bp) at which a head predicts them.
TRACK_RESOLUTIONS_BP: dict[Output, tuple[int, ...]] = {
    Output.ATAC: (1, 128),
    Output.DNASE: (1, 128),
    Output.PROCAP: (1, 128),
    Output.CAGE: (1, 128),
    Output.RNA_SEQ: (1, 128),
    Output.CHIP_TF: (128,),
    Output.CHIP_HISTONE: (128,),
}

# Far above any network; a damaged file must not ask for more.
_MAX_SIZE = 1 << 16
_MOST = {"tower_layers": 256, "local_layers": 6}  # with more, a substitution would change too many bins

# Channels of the official heads, padding included; for SPLICE_JUNCTIONS tissues, each on two strands.
ALPHAGENOME_HEADS: dict[Output, int] = {
    Output.ATAC: 256,
    Output.DNASE: 384,
    Output.PROCAP: 128,
    Output.CAGE: 640,
    Output.RNA_SEQ: 768,
    Output.CHIP_TF: 1664,
    Output.CHIP_HISTONE: 1152,
    Output.CONTACT_MAPS: 28,
    Output.SPLICE_SITES: 5,
    Output.SPLICE_SITE_USAGE: 734,
    Output.SPLICE_JUNCTIONS: 367,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Sizes of one network of the family."""

    channels: int = 768  # at 1 bp
    channel_step: int = 128  # added by each of the six down-resolution blocks
    local_layers: int = 0  # more convolutions at 1 bp than the official network has, dilated 1, 2, 4 …
    organisms: int = 2  # rows of every organism-specific parameter
    tower_layers: int = 9  # attention + MLP; the pair representation is updated before every second one
    attention_heads: int = 8  # query heads; keys and values have one head
    key_channels: int = 128  # per query head, and of the one key head
    value_channels: int = 192  # of the one value head
    pair_channels: int = 128  # of the pair representation
    pair_heads: int = 32  # heads of the sequence-to-pair block
    pair_key_channels: int = 128  # per head of the sequence-to-pair block
    position_features: int = 32  # central-mask features of the relative position, each with and without sign
    junction_channels: int = 768  # of a junction site's embedding
    max_splice_sites: int = 512  # junction sites kept per class
    splice_site_threshold: float = 0.1  # probability below which a position is no junction site
    heads: dict[Output, int] = dataclasses.field(default_factory=dict)  # channels per head, padding included

    @classmethod
    def alphagenome(cls) -> "ModelConfig":
        """The published network: 450,452,613 parameters, human and mouse, all eleven heads."""
        return cls(heads=dict(ALPHAGENOME_HEADS))

    @property
    def trunk_channels(self) -> int:
        """Channels at 128 bp."""
        return self.channels + (POOLINGS - 1) * self.channel_step

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return dataclasses.asdict(self) | {"heads": {str(output): n for output, n in self.heads.items()}}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "ModelConfig":
        """The inverse of `to_json`.

        Raises:
            CheckpointError: a field is unknown, missing, no size, or names no output.
        """
        if not isinstance(values, dict):
            raise CheckpointError("config.json: the architecture is no object")
        known = {field.name for field in dataclasses.fields(cls)}
        if known != values.keys():
            raise CheckpointError(
                "the architecture in config.json does not fit this version of vepscore\n"
                f"missing: {sorted(known - values.keys())}; unknown: {sorted(values.keys() - known)}",
                hint="use the vepscore version that wrote the checkpoint, or a newer one",
            )
        sizes = dict(values)
        channels = sizes.pop("heads")
        if not isinstance(channels, dict):
            raise CheckpointError("config.json: the heads are no object")
        _check_sizes(sizes)
        _check_sizes(channels)
        try:
            heads = {Output(name): count for name, count in channels.items()}
        except ValueError as error:
            raise CheckpointError(
                f"config.json: {error}; expected one of {[str(o) for o in Output]}"
            ) from error
        return cls(**(values | {"heads": heads}))


def _check_sizes(values: dict[str, Any]) -> None:
    """Raises CheckpointError, which names all that no network can have."""
    wrong = []
    for name, value in values.items():
        if name == "splice_site_threshold":
            kinds, least, most = (int, float), 0, 1
        else:
            kinds, least, most = (int,), int(name != "local_layers"), _MOST.get(name, _MAX_SIZE)
        if type(value) not in kinds or not least <= value <= most:
            wrong.append(f"{name}: found {str(value)[:60]}, expected a number from {least} to {most}")
    if wrong:
        raise CheckpointError("\n".join(["config.json: the architecture has impossible sizes", *wrong]))
