"""How many examples a property is tried on: a few hundred always the same ones, or its share of 100,000 new ones.

`VEPSCORE_FUZZ_EXAMPLES` is another number than 100,000 for the slow tests, over all properties.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

PROPERTIES = 25
TIME_LIMIT_SECONDS = 30  # for one example; a hang is a failure like another

_SHARED = {"deadline": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("quick", max_examples=200, derandomize=True, database=None, **_SHARED)
settings.register_profile(
    "slow",
    max_examples=int(os.environ.get("VEPSCORE_FUZZ_EXAMPLES", "100000")) // PROPERTIES + 1,
    print_blob=True,
    **_SHARED,
)

each_budget = pytest.mark.parametrize("budget", ["quick", pytest.param("slow", marks=pytest.mark.slow)])


def try_out(budget: str, check: Callable[..., object], *strategies: st.SearchStrategy) -> None:
    """Calls `check` with as many examples as the budget has."""

    def check_in_time(values: tuple[Any, ...]) -> None:
        with time_limit():
            check(*values)

    settings(settings.get_profile(budget))(hypothesis.given(st.tuples(*strategies))(check_in_time))()


@contextlib.contextmanager
def time_limit(seconds: float = TIME_LIMIT_SECONDS) -> Iterator[None]:
    """Raises TimeoutError in the main thread after so long."""

    def stop(*_: Any) -> None:
        raise TimeoutError(f"took over {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
