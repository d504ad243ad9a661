import pytest


@pytest.fixture(autouse=True, scope="module")
def without_waiting_for_the_disk():
    """No example hangs on what a machine that stops would lose."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vepscore.io.atomic._flush_to_disk", lambda path: None)
        yield
