"""A base class for the test suite of a port: every check of the judge as a test of its own."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from lion_conformance.checks import Check, Checklist, slug, words
from lion_conformance.ports.callable import from_callable
from lion_conformance.ports.protocol import Port
from lion_conformance.report.origin import Origin
from lion_conformance.report.reproduction import file_name, reproduction
from lion_conformance.verify import MAX_EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pytest

    from lion_conformance.report.report import Report

FOLDER = Path("build", "lion-conformance")
"""Where reproductions go, from the folder in which pytest was started."""


class PortTests:
    """Subclass this in a test module, and pytest judges the port, each check a test.

        class TestMyLion(lion_conformance.PortTests):
            port = staticmethod(my_step)  # or a Port, or `def port(self)` that makes one
            dtypes = ("float32", "bfloat16")

    Options are class attributes: dtypes (all that the port takes if None), max_examples and seed,
    as for `lion_conformance.verify`.
    """

    port: ClassVar[Any]
    dtypes: ClassVar[Sequence[str] | None] = None
    max_examples: ClassVar[int] = MAX_EXAMPLES
    seed: ClassVar[int] = 0

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """A test for each dtype."""
        if "dtype" not in metafunc.fixturenames:
            return
        import pytest

        try:
            dtypes = _checklist(type(self)).dtypes
        except Exception as error:  # noqa: BLE001 - a port of one's own may raise anything
            pytest.fail(f"{type(self).__name__}: {error}", pytrace=False)
        metafunc.parametrize("dtype", dtypes)


def _test_of(check: Check) -> Callable[[PortTests, str], None]:
    """The test of one check, as a method."""

    def test(self: PortTests, dtype: str) -> None:
        _hold(_checklist(type(self)), dtype, check)

    test.__name__ = f"test_{slug(check)}"
    test.__qualname__, test.__doc__ = f"PortTests.{test.__name__}", f"{check.value}."
    return test


for _check in Check:
    setattr(PortTests, f"test_{slug(_check)}", _test_of(_check))


def _hold(checklist: Checklist, dtype: str, check: Check) -> None:
    import pytest

    if check not in checklist.checks(dtype):
        reason = "declares no semantics" if check is Check.DECLARED else "is not float32 alone"
        pytest.skip(f"{checklist.port.name} {reason}")
    unjudged = checklist.not_judged(dtype)
    if unjudged:
        pytest.skip(unjudged)
    fail_with(checklist.shortfall(dtype, check), check)


def fail_with(report: Report | None, check: Check) -> None:
    """Fail the running test with a report on its check, and write its reproduction; None passes."""
    if report is None:
        return
    import pytest

    lines = [words(report, check)]
    part = "-".join([*(result.dtype for result in report.results), slug(check)])
    path = FOLDER / f"{Path(file_name(report)).stem}-{part}.py"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(reproduction(report), encoding="utf-8")
        lines.append(f"to reproduce: python {path}")
    except OSError as error:
        lines.append(f"no reproduction was written: {error}")
    pytest.fail("\n".join(lines), pytrace=False)


def _checklist(cls: type[PortTests]) -> Checklist:
    """The checklist of a class: made once, and judged once."""
    if "_checklist" not in vars(cls):
        given = _given(cls)
        port = given if isinstance(given, Port) else from_callable(given)
        made = Checklist(
            port,
            dtypes=cls.dtypes,
            max_examples=cls.max_examples,
            seed=cls.seed,
            origin=replace(Origin.of(given), command=f"pytest -k {cls.__name__}"),
        )
        cls._checklist = made  # type: ignore[attr-defined]  # a cache, no part of the class
    found: Checklist = vars(cls)["_checklist"]
    return found


def _given(cls: type[PortTests]) -> Any:
    """The port that a class names: its attribute, or what its method `port` returns."""
    if not hasattr(cls, "port"):
        raise TypeError(
            f"{cls.__name__} has no port; legal: port = staticmethod(step), a Port, or a method "
            "port(self)"
        )
    static = inspect.getattr_static(cls, "port")
    if inspect.isfunction(static):  # a step has three parameters and more
        parameters = len(inspect.signature(static).parameters)
        return cls().port() if parameters == 1 else static
    return cls().port if isinstance(static, property) else cls.port
