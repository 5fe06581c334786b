"""Keras's files that mean no good: refused in one line, and nothing in them is run (C13, C34)."""

from __future__ import annotations

import json
import shutil
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import pytest
from hypothesis import given

from lion_tf import checkpoints
from tests.hostile import damaged, damaged_bytes, examples, said
from tests.lion_tf.test_checkpoints import NUMBERS, sequential, trained


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a .keras file and its weights."""
    folder = tmp_path_factory.mktemp("saved")
    trained(sequential()).save(folder / "model.keras")
    with zipfile.ZipFile(folder / "model.keras") as archive:
        archive.extract("model.weights.h5", folder)
    return folder


def packed(path: Path, source: Path, **members: bytes) -> None:
    """The archive with other bytes in some members, all compressed."""
    with (
        zipfile.ZipFile(source) as old,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, members.get(name, old.read(name)))


def linked(kind: str, path: Path, source: Path) -> None:
    shutil.copy(source, path)
    with h5py.File(path, "r+") as file:
        del file["layers/dense/vars/0"]
        inside = file["layers/dense/vars"]
        if kind == "external link":
            inside["0"] = h5py.ExternalLink("/etc/passwd", "/x")
        elif kind == "soft link":
            inside["0"] = h5py.SoftLink("/layers/dense_1/vars/0")
        elif kind == "external bytes":
            inside.create_dataset("0", (4, 4), "f4", external=[("/etc/passwd", 0, 64)])
        elif kind == "compressed":
            inside.create_dataset("0", (1 << 20, 1 << 12), "f4", compression="gzip")
        elif kind == "promised":
            inside.create_dataset("0", (1 << 20, 1 << 20), "f4")
        else:  # a circle
            inside["0"] = file["layers"]


@pytest.mark.parametrize(
    "kind",
    ["external link", "soft link", "external bytes", "compressed", "promised", "circle"],
)
@pytest.mark.clause("C13", "C34")
def test_weights_are_in_the_file_itself(kind: str, saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    linked(kind, path, saved / "model.weights.h5")
    assert said(lambda: checkpoints.read(path, numbers=NUMBERS), errors=(ValueError,))


@pytest.mark.clause("C13", "C34")
def test_a_circle_of_groups_ends(saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    shutil.copy(saved / "model.weights.h5", path)
    with h5py.File(path, "r+") as file:
        file["layers/more"] = file["layers"]
        file["layers/again"] = file["layers"]
    assert said(lambda: checkpoints.read(path, numbers=NUMBERS), errors=(ValueError,))


@pytest.mark.clause("C13", "C34")
def test_an_archive_that_grows_is_refused(saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    packed(path, saved / "model.keras", **{"model.weights.h5": bytes(1 << 24)})
    words = said(lambda: checkpoints.read(path), errors=(ValueError,))
    assert f"'model.weights.h5' has {1 << 24} bytes, packed into " in words
    packed(path, saved / "model.keras")  # compressed as a honest file may be
    assert checkpoints.read(path).step == 2


@pytest.mark.clause("C13", "C34")
def test_a_file_cut_short_is_refused(saved: Path, tmp_path: Path) -> None:
    for name in ("model.keras", "model.weights.h5"):
        whole = (saved / name).read_bytes()
        for size in (0, 7, 8, 100, len(whole) // 2, len(whole) - 100, len(whole) - 1):
            path = tmp_path / name
            path.write_bytes(whole[:size])
            assert said(partial(checkpoints.read, path, numbers=NUMBERS), errors=(ValueError,))


@pytest.mark.clause("C13", "C34")
def test_any_config_is_read_or_refused(saved: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(saved / "model.keras") as archive:
        config = json.loads(archive.read("config.json"))
    path = tmp_path / "model.keras"

    @examples(60)
    @given(damaged({"compile_config": config["compile_config"]}))
    def run(document: Any) -> None:
        changed = config | document if isinstance(document, dict) else document
        packed(path, saved / "model.keras", **{"config.json": json.dumps(changed).encode()})
        said(lambda: checkpoints.read(path), errors=(ValueError,))

    run()


@pytest.mark.parametrize("name", ["model.keras", "model.weights.h5"])
@pytest.mark.clause("C13", "C34")
def test_any_bytes_are_read_or_refused(name: str, saved: Path, tmp_path: Path) -> None:
    path = tmp_path / name

    @examples(60)
    @given(damaged_bytes((saved / name).read_bytes()))
    def run(octets: bytes) -> None:
        path.write_bytes(octets)
        said(lambda: checkpoints.read(path, numbers=NUMBERS), errors=(ValueError,))

    run()
