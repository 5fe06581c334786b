"""Tasks spread over a cluster by Dask's scheduler, or over one that is started here for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lion_conformance.exhaustive.asked import Asked
from lion_conformance.exhaustive.judging import Found
from lion_conformance.exhaustive.question import Question
from lion_conformance.exhaustive.spread import DIED, Blocks, Spread, judge_asked
from lion_conformance.ports.protocol import PortError


def cluster(asked: Asked, address: str | None, count: int) -> Spread:
    """Over the workers of the scheduler at an address; without one, over `count` processes here.

    Raises:
        ImportError: there is no distributed.
    """
    try:
        from distributed import Client, KilledWorker, as_completed
    except ModuleNotFoundError as error:
        raise ImportError(
            "--scheduler dask needs Dask's scheduler: pip install distributed"
        ) from error

    def judged(question: Question, wanted: Sequence[Blocks]) -> Iterator[Found]:
        own = {"n_workers": count, "threads_per_worker": 1, "dashboard_address": None}
        with Client(address) if address else Client(**own) as client:
            futures = [
                client.submit(judge_asked, asked, question, blocks, pure=False) for blocks in wanted
            ]
            try:
                for future in as_completed(futures):
                    yield future.result()
                    future.release()
            except KilledWorker as error:
                raise PortError(DIED) from error

    return judged
