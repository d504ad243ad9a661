"""The directory of one training: its seed, its state to resume from, and the description of the finished checkpoint."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vepscore.errors import OutputError
from vepscore.model.checkpoint import ARRAYS_FILE, HASHES_FILE, CheckpointConfig, read_config
from vepscore.model.registry import OFFICIAL_FAMILY
from vepscore.train.recipe import CommonRecipe

LOG_FILE = "log.jsonl"

_PROGRESS = "progress-"  # and the hash of the training: the directory with the state to resume from

Observe = Callable[[str, int, int, dict[str, float]], None]  # network, step, number of steps, losses


def open_training(folder: Path, digest: str) -> Path | None:
    """Create the directory of a training; return that of the state to resume from, or None if it is finished.

    Raises:
        OutputError: the directory has a network, or a partly trained one, of another training.
    """
    found = [path.name.removeprefix(_PROGRESS) for path in folder.glob(f"{_PROGRESS}*")]
    if is_finished := (folder / HASHES_FILE).exists():
        found.append(str(read_config(folder).training.get("recipe")))
    if others := [name for name in found if name != digest]:
        raise OutputError(
            f"{folder}\nwas trained by another recipe (found {others[0]}, expected {digest})",
            hint="choose another directory, or remove this one",
        )
    if is_finished:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{_PROGRESS}{digest}"


def arrays_hash(folder: Path) -> str:
    """Return the hash of a network's arrays; its other files record how long training took."""
    return hashlib.sha256((folder / ARRAYS_FILE).read_bytes()).hexdigest()


def training_seed(seed: int, name: str, started_from: str | None = None) -> int:
    """Return the seed of a network's training; it depends on the initial parameters, but not on the schedule."""
    return int(hashlib.sha256(f"{seed} {name} {started_from}".encode()).hexdigest()[:8], 16)


def describe_checkpoint(
    recipe: CommonRecipe, architecture: Any, training: dict[str, Any], family: str = OFFICIAL_FAMILY
) -> CheckpointConfig:
    """Return the `config.json` of a network of a recipe."""
    return CheckpointConfig(
        name=recipe.name,
        family=family,
        architecture=architecture,
        organisms=("human",),
        rotary_dtype="float32",
        window_bp=recipe.defaults.window_bp,
        indel_anchor=recipe.defaults.indel_anchor,
        scorers=recipe.defaults.scorers,
        license=recipe.license,
        training=training,
    )
