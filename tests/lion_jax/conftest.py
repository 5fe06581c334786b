"""Eight CPU devices, for the tests of sharding; a number has to be set before the first use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

try:
    import jax
    import optax  # noqa: F401  # only whether it is there
except ImportError as error:
    MISSING = f"tests/lion_jax is not collected: {error}"
    collect_ignore_glob = ["test_*.py"]
else:
    MISSING = ""
    jax.config.update("jax_num_cpu_devices", 8)  # type: ignore[no-untyped-call]


def pytest_report_header() -> str | None:
    return MISSING or None


@pytest.fixture(params=[False, True], ids=["x32", "x64"])
def x64(request: pytest.FixtureRequest) -> Iterator[bool]:
    """The test twice: with JAX's default dtypes, and with 64-bit ones enabled."""
    with jax.enable_x64(request.param):
        yield request.param
