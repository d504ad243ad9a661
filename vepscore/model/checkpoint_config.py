"""A checkpoint as data: the contents of its `config.json`, and what it is once it is opened."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.model.network import Network
from vepscore.model.registry import OFFICIAL_FAMILY
from vepscore.outputs import MAX_WINDOW_BP, Output, Tracks
from vepscore.schema import CLOSED, Whole, field_error


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckpointConfig:
    """The contents of `config.json`."""

    __pydantic_config__ = CLOSED

    name: str
    family: str = OFFICIAL_FAMILY  # of `vepscore.model.family`
    architecture: Any  # the sizes of the network, the dataclass of its family
    # In the order of the rows of organism-specific parameters.
    organisms: Annotated[tuple[str, ...], Field(min_length=1)]
    window_bp: Annotated[int, Whole(1, MAX_WINDOW_BP)]  # default window of commands that run the network
    rotary_dtype: Literal["float32", "bfloat16"] = "float32"  # dtype of the tower's rotary tables
    indel_anchor: IndelAnchor = IndelAnchor.LEFT  # default windows of an indel's alternate allele
    scorers: tuple[str, ...] | None = None  # names of the default scorers; None: all that can run
    license: str  # SPDX identifier or name of the terms
    terms_notice: str | None = None  # repeated in every output if the license requires it
    training: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # data, splits, steps, figures

    def __post_init__(self) -> None:
        if self.architecture is not None and len(self.organisms) > self.architecture.organisms:
            raise field_error(
                "organisms", self.organisms, f"at most {self.architecture.organisms}, as in the architecture"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint opened for one organism."""

    config: CheckpointConfig
    network: Network  # in the form in which it is stored; parameters in the run's dtype and of one organism
    tracks: Mapping[Output, Tracks]
    digest: str  # hex sha256 of the list of the hashes of its files
