"""Distributed training has the bits of one device that is given the summed gradient.

The devices of a process are settled at TensorFlow's first use: each run has a process of its own.
"""

from __future__ import annotations

import json
import socket
from functools import cache
from pathlib import Path

import pytest

from tests.repo.preloaded import Program, run

PROGRAM = str(Path(__file__).with_name("distributed_program.py"))
WAYS = ("debugged", "custom loop", "clipped", "slices")


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def worker(index: int, addresses: list[str]) -> Program:
    task = {"type": "worker", "index": index}
    config = json.dumps({"cluster": {"worker": addresses}, "task": task})
    return Program([PROGRAM, "multi-worker", "lion_tf"], {"TF_CONFIG": config})


@cache
def printed() -> dict[str, list[str]]:
    """The lines of all programs, which run at once: the workers have to meet."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    programs = {
        "mirrored": Program([PROGRAM, "mirrored", "lion_tf"]),
        "keras": Program([PROGRAM, "mirrored", "keras"]),
        "worker 0": worker(0, addresses),
        "worker 1": worker(1, addresses),
    }
    processes = run(list(programs.values()), ["keras", "tensorflow"], together=True)
    assert not any(process.returncode for process in processes), processes
    return {
        name: process.stdout.strip().splitlines()
        for name, process in zip(programs, processes, strict=True)
    }


@pytest.mark.clause("C12")
def test_mirrored_over_two_devices() -> None:
    assert printed()["mirrored"] == [f"{way} on 2: same bits" for way in (*WAYS, "fit", "eager")]


@pytest.mark.clause("C12")
@pytest.mark.parametrize("name", ["worker 0", "worker 1"])
def test_two_workers_on_loopback(name: str) -> None:
    assert printed()[name] == [f"{way} on 1: same bits" for way in WAYS]


def test_keras_own_lion_fails_the_comparison() -> None:
    lines = printed()["keras"]
    assert len(lines) == 5
    assert not any("same bits" in line for line in lines)
