"""Each thread of a run has the run's JAX settings, whatever the process or the caller has set."""

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.builders import vcf_row
from tests.engine.alleles import prepare
from vepscore.contract import Scorer, Site
from vepscore.engine.dense import DenseEngine
from vepscore.engine.device import find_devices
from vepscore.engine.parallel import ParallelEngine
from vepscore.engine.preparer import AllelePreparer
from vepscore.engine.settings import fixed_settings
from vepscore.engine.sparse import SparseEngine
from vepscore.errors import UsageError
from vepscore.model.checkpoint import Checkpoint, load_checkpoint
from vepscore.outputs import Output

ROWS = (vcf_row("chr1", 16_000, 1, "~"), vcf_row("chr1", 16_100, 1, "~"))


class Seen(Exception):
    """Raised to stop the scoring of an allele before anything is compiled."""


@dataclasses.dataclass(frozen=True)
class Watcher(Scorer):
    """Records the settings that it is called with."""

    seen: list[dict[str, Any]]
    name = "WATCHER"
    output = Output.DNASE

    def __hash__(self) -> int:
        return 0

    def footprint(self, site: Site) -> None:
        names = ("jax_enable_x64", "jax_numpy_rank_promotion", "jax_default_matmul_precision")
        self.seen.append({name: getattr(jax.config, name) for name in names})
        raise Seen

    def score(self, reference: Any, alternate: Any, masks: Any) -> None: ...

    def rows(self, scores: Any, footprint: Any, site: Any, tracks: Any) -> None: ...


def parallel_engine(checkpoint: Checkpoint, scorers: list[Scorer]) -> ParallelEngine:
    return ParallelEngine([SparseEngine(checkpoint, scorers) for _ in range(2)])


@pytest.mark.parametrize("create", [SparseEngine, DenseEngine, parallel_engine])
def test_engine_fixes_settings_in_the_thread_that_scores(
    create: Callable[..., Any], checkpoint: Checkpoint, preparer: AllelePreparer
) -> None:
    assert_fixed(create, checkpoint, preparer, precision="highest")


def test_products_of_a_bfloat16_network_are_those_of_the_device(
    checkpoint_folder: Path, preparer: AllelePreparer
) -> None:
    assert_fixed(SparseEngine, load_checkpoint(checkpoint_folder, dtype="bfloat16"), preparer, precision=None)


def assert_fixed(
    create: Callable[..., Any], checkpoint: Checkpoint, preparer: AllelePreparer, *, precision: str | None
) -> None:
    """Check that an engine scores with its own settings, not with those of the caller."""
    watcher = Watcher([])
    engine = create(checkpoint, [watcher])
    with (
        jax.numpy_rank_promotion("raise"),
        jax.default_matmul_precision("tensorfloat32"),
        pytest.raises(Seen),
    ):
        engine.score(prepare(preparer, *ROWS))
    expected = {
        "jax_enable_x64": False,
        "jax_numpy_rank_promotion": "allow",
        "jax_default_matmul_precision": precision,
    }
    assert watcher.seen and all(seen == expected for seen in watcher.seen)


def test_settings_are_restored_after_an_error() -> None:
    before = dict(jax.config.values)
    with contextlib.suppress(Seen), fixed_settings("float32", jax.devices()[0]):
        assert dict(jax.config.values) != before
        raise Seen
    assert dict(jax.config.values) == before


def test_settings_of_the_caller_change_no_number() -> None:
    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"), jax.debug_nans(True):
        with fixed_settings():
            found = np.asarray(jnp.arange(3) / jnp.float32(0))
        assert found.dtype == np.float32 and np.isnan(found[0])


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="there is another device")
@pytest.mark.parametrize("kind", ["gpu", "tpu"])
def test_device_that_is_absent_is_a_usage_error(kind: str) -> None:
    with pytest.raises(UsageError, match=f"--device {kind}: no such device") as raised:
        find_devices(kind)
    assert f"install vepscore[{'cuda' if kind == 'gpu' else 'tpu'}]" in str(raised.value)
