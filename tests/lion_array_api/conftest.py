"""Every test that asks for `namespace` runs in each that is installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lion_array_api.namespaces import NAMESPACES, Namespace, entered


@pytest.fixture(params=NAMESPACES)
def namespace(request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """In JAX's there is float64 for as long as the test lasts."""
    with entered(request.param) as found:
        yield found
