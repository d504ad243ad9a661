"""Provide what all fuzz tests share: a disk that is never waited for."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def without_waiting_for_the_disk() -> Iterator[None]:
    """Skip flushing files to the disk: no example depends on what a crash of the machine would lose."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vepscore.io.atomic._flush_to_disk", lambda path: None)
        yield
