"""The default settings that a checkpoint states for the commands that run it, read without opening the network."""

import dataclasses

from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.model.checkpoint import read_config
from vepscore.model.registry import is_official, resolve_checkpoint
from vepscore.outputs import MAX_WINDOW_BP


@dataclasses.dataclass(frozen=True, kw_only=True)
class Defaults:
    """The defaults of one checkpoint. For the official layout they are those of the official code."""

    checkpoint: str  # name of the checkpoint
    window_bp: int = MAX_WINDOW_BP
    indel_anchor: IndelAnchor = IndelAnchor.LEFT
    scorers: tuple[str, ...] | None = None  # names; None: every scorer that can run


def read_defaults(checkpoint: str | None) -> Defaults:
    """Read the defaults of a checkpoint.

    Args:
        checkpoint: name or directory; None for the embedded checkpoint.

    Raises:
        CheckpointError: there is no such checkpoint, or its `config.json` cannot be read.
    """
    path = resolve_checkpoint(checkpoint)
    if is_official(path):
        return Defaults(checkpoint=path.name)
    config = read_config(path)
    return Defaults(
        checkpoint=config.name,
        window_bp=config.window_bp,
        indel_anchor=config.indel_anchor,
        scorers=config.scorers,
    )
