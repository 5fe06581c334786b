"""Distributed training has the bits of one device that is given the summed gradient.

The devices of a process are settled at TensorFlow's first use: each test has processes of its own.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("distributed_program.py")


def lines(where: str, optimizer: str, **environment: str) -> list[str]:
    """What the program prints; its errors if it fails."""
    process = subprocess.run(
        [sys.executable, str(PROGRAM), where, optimizer],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return process.stdout.strip().splitlines()


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.mark.clause("C12")
def test_mirrored_over_two_devices() -> None:
    assert lines("mirrored", "lion_tf") == [
        "debugged on 2: same bits",
        "custom loop on 2: same bits",
        "clipped on 2: same bits",
        "slices on 2: same bits",
        "fit on 2: same bits",
        "eager on 2: same bits",
    ]


@pytest.mark.clause("C12")
def test_two_workers_on_loopback() -> None:
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]

    def worker(index: int) -> list[str]:
        task = {"type": "worker", "index": index}
        config = {"cluster": {"worker": addresses}, "task": task}
        return lines("multi-worker", "lion_tf", TF_CONFIG=json.dumps(config))

    with ThreadPoolExecutor() as pool:
        for printed in pool.map(worker, range(2)):
            assert printed == [
                "debugged on 1: same bits",
                "custom loop on 1: same bits",
                "clipped on 1: same bits",
                "slices on 1: same bits",
            ]


def test_keras_own_lion_fails_the_comparison() -> None:
    printed = lines("mirrored", "keras")
    assert len(printed) == 5
    assert not any("same bits" in line for line in printed)
