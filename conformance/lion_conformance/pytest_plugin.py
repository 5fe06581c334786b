"""The pytest plugin: `pytest --lion-port MODULE:CALLABLE` judges a port, each check a test.

The id of a test, or the beginning of one, asks for it alone: `pytest lion-port/MODULE:CALLABLE`.
Nothing but pytest is imported until a port is asked for.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from lion_conformance.checks import Check, Checklist

Names = tuple[str, ...]
"""What is left of an id below a node; all that there is, if nothing."""

ID: Final = re.compile(r"(?:\.\./)*lion-port/([^:/]+:[^:].*)", re.DOTALL)
"""A test's id, which no file's path is; behind dots where pytest was started below its root."""

ASKED: Final = pytest.StashKey[dict[str, list[Names]]]()
"""For each port that is to be judged, the ids below it that were asked for."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the command line."""
    group = parser.getgroup("lion", "conformance of ports of the Lion optimizer")
    group.addoption(
        "--lion-port",
        action="append",
        default=[],
        metavar="MODULE:CALLABLE",
        help="judge this port against lion_ref, each check a test; repeatable",
    )
    group.addoption(
        "--lion-dtype",
        action="append",
        default=[],
        metavar="DTYPE",
        help="dtype of the parameter to judge it in (default: all that it takes); repeatable",
    )
    group.addoption(
        "--lion-max-examples",
        type=int,
        metavar="N",
        help="random cases for each dtype, as for lion-conformance verify",
    )
    group.addoption(
        "--lion-seed", type=int, default=0, metavar="SEED", help="the same seed, the same cases"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Take the ids of checks out of the arguments, since pytest would look for files."""
    asked: dict[str, list[Names]] = {}
    paths = []
    for argument in config.args:
        found = ID.fullmatch(argument)
        if found is None:
            paths.append(argument)
        else:
            port, *names = found[1].split("::")
            asked.setdefault(port, []).append(tuple(names))
    for port in config.getoption("--lion-port"):
        asked.setdefault(port, [()])
    config.args = paths
    config.stash[ASKED] = asked


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Beside what a session collects: a node for each port that was asked for."""
    report = yield
    if isinstance(collector, pytest.Session):
        asked = collector.config.stash[ASKED].items()
        ports = [LionPort.from_parent(collector, name=name, ids=ids) for name, ids in asked]
        report.result = [*(report.result or ()), *ports]
    return report


class LionNode(pytest.Collector):
    """A node below which some ids were asked for."""

    def __init__(self, name: str, parent: pytest.Collector, ids: list[Names], **more: Any) -> None:
        super().__init__(name, parent, **more)
        self._ids = ids

    def _chosen(self, names: Iterable[str]) -> Iterator[tuple[str, list[Names]]]:
        """Of the names below this node those that were asked for, each with what is below it."""
        there = list(names)
        for name in (ids[0] for ids in self._ids if ids):
            if name not in there:
                legal = ", ".join(there)
                raise self.CollectError(f"{self.nodeid}::{name}: there is none; legal: {legal}")
        for name in there:
            below = [ids[1:] for ids in self._ids if ids[:1] in ((), (name,))]
            if below:
                yield name, below


class LionPort(LionNode):
    """A port that was named on the command line."""

    def __init__(self, name: str, parent: pytest.Session, **more: Any) -> None:
        super().__init__(name, parent, nodeid=f"lion-port/{name}", **more)
        self.extra_keyword_matches.add("lion-port")  # for -k, which does not look at node ids

    def collect(self) -> Iterator[pytest.Collector]:
        """A node for each dtype."""
        checklist = self._checklist()
        for dtype, ids in self._chosen(checklist.dtypes):
            yield LionDtype.from_parent(self, name=dtype, ids=ids, checklist=checklist)

    def _checklist(self) -> Checklist:
        from lion_conformance.checks import Checklist, options_in_words
        from lion_conformance.ports.by_name import find
        from lion_conformance.ports.callable import from_callable
        from lion_conformance.ports.protocol import Port
        from lion_conformance.report.origin import Origin
        from lion_conformance.verify import MAX_EXAMPLES

        dtypes = self.config.getoption("--lion-dtype")
        max_examples = self.config.getoption("--lion-max-examples")
        max_examples = MAX_EXAMPLES if max_examples is None else max_examples
        seed = self.config.getoption("--lion-seed")
        again = options_in_words(dtypes, max_examples, seed)
        try:
            found = find(self.name)
            return Checklist(
                found if isinstance(found, Port) else from_callable(found, name=self.name),
                dtypes=dtypes or None,
                max_examples=max_examples,
                seed=seed,
                origin=Origin("import", self.name, f"pytest --lion-port {self.name}{again}"),
            )
        except (ValueError, TypeError, ImportError) as error:
            raise self.CollectError(str(error)) from error


class LionDtype(LionNode):
    """The checks of a port in one dtype of its parameters."""

    def __init__(self, name: str, parent: LionPort, checklist: Checklist, **more: Any) -> None:
        super().__init__(name, parent, **more)
        self._checklist = checklist

    def collect(self) -> Iterator[pytest.Item]:
        """A test for each check."""
        checks = {check.value: check for check in self._checklist.checks(self.name)}
        for name, _ in self._chosen(checks):
            yield LionCheck.from_parent(
                self, name=name, checklist=self._checklist, check=checks[name]
            )


class LionCheck(pytest.Item):
    """One check of a port in one dtype."""

    def __init__(
        self, name: str, parent: LionDtype, checklist: Checklist, check: Check, **more: Any
    ) -> None:
        super().__init__(name, parent, **more)
        self._checklist, self._check, self._dtype = checklist, check, parent.name

    def runtest(self) -> None:
        """Fail with the counterexample, if there is one."""
        from lion_conformance.port_tests import fail_with

        unjudged = self._checklist.not_judged(self._dtype)
        if unjudged:
            pytest.skip(unjudged)
        fail_with(self._checklist.shortfall(self._dtype, self._check), self._check)

    def reportinfo(self) -> tuple[str, None, str]:
        """Where it belongs, and its name, in a list of failures."""
        return self.nodeid.partition("::")[0], None, self.nodeid
