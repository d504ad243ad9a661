"""Files beside the VCF, damaged: our own error, or what they say."""

from pathlib import Path

import pytest
from hypothesis import strategies as st

from tests.fuzz.budgets import each_budget, try_out
from tests.fuzz.file_checks import TARGETS
from tests.fuzz.mutations import damaged


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@each_budget
@pytest.mark.parametrize("name", [name for name in TARGETS if name != "vcf"])
def test_damaged_file_is_read_or_refused(folder: Path, name: str, budget: str) -> None:
    target = TARGETS[name]
    seeds = st.sampled_from(list(target.seeds(folder)))
    try_out(budget, lambda data: target.check(data, folder), damaged(seeds, 6))
