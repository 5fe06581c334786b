"""Whatever ends an export, the old file is whole, and the next export is not disturbed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from lion_ref.run_state import Group, Header, Unfinished, load, save
from tests.lion_ref.run_state.files import bits, small

pytestmark = pytest.mark.clause("C34", "C14")

ONES = np.ones(4, np.float32)
TWO = {"v": ((4,), "float32", "float32"), "w": ((4,), "float32", "float32")}


def ones(path: Path) -> None:
    save(path, {"v": (ONES, ONES), "w": (ONES, ONES)}, step=9, groups=Group(lr=0.1))


def begun(path: Path) -> Unfinished:
    return Unfinished(path, TWO, Header(1, (Group(lr=0.1),)))


class Failing:
    """An array that cannot be read when its turn comes."""

    shape, dtype = (4,), np.dtype(np.float32)

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __array__(self, *_: Any, **__: Any) -> np.ndarray[Any, Any]:
        raise self.error


@pytest.mark.parametrize("error", [RuntimeError("the device is lost"), KeyboardInterrupt()])
def test_an_error_in_the_middle_leaves_the_old_file(tmp_path: Path, error: BaseException) -> None:
    path = small(tmp_path / "run")
    before = path.read_bytes()
    with pytest.raises(type(error)):
        save(path, {"v": (ONES, ONES), "w": (ONES, Failing(error))}, step=0, groups=Group(lr=0.1))
    assert path.read_bytes() == before
    assert [x.name for x in tmp_path.iterdir()] == ["run"]


KILLED = """
import os, signal, sys
import numpy as np
from lion_ref.run_state import Group, Header, Unfinished
shape = ((1 << 18,), "float32", "float32")
with Unfinished(sys.argv[1], {x: shape for x in "vw"}, Header(1, (Group(lr=0.1),))) as file:
    file["v"].param[...] = 1
    print("between", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_that_is_killed_between_tensors_leaves_the_old_file(tmp_path: Path) -> None:
    path = small(tmp_path / "run")
    before = path.read_bytes()
    done = subprocess.run([sys.executable, "-c", KILLED, path], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"between\n"), done.stderr
    assert path.read_bytes() == before
    assert load(path).header.step == 7
    assert (tmp_path / "run.part").stat().st_size > 1 << 21  # what it left
    ones(path)
    assert load(path).header.step == 9
    assert [x.name for x in tmp_path.iterdir()] == ["run"]


FULL = """
import resource, signal, sys
import numpy as np
from lion_ref.run_state import Group, save
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
w = np.zeros(1 << 20, np.float32)
try:
    save(sys.argv[1], {"w": (w, w)}, step=0, groups=Group(lr=0.1))
except OSError as error:
    print(type(error).__name__, error.strerror)
"""


def test_a_disk_without_room_is_an_error_before_anything_is_written(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    path = small(tmp_path / "run")
    before = path.read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", FULL, path], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "OSError File too large\n"), done.stderr
    assert path.read_bytes() == before
    assert [x.name for x in tmp_path.iterdir()] == ["run"]


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the system reserves no room")
def test_a_save_that_reserves_no_room_would_be_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sparse file fails at an assignment, with a signal that ends the process."""
    reserved: list[int] = []
    reserve = os.posix_fallocate

    def counted(number: int, begin: int, count: int) -> None:
        reserve(number, begin, count)
        reserved.append(os.fstat(number).st_blocks * 512 - count)

    monkeypatch.setattr(os, "posix_fallocate", counted)
    zeros = np.zeros(1 << 16, np.float32)
    save(tmp_path / "run", {"w": (zeros, zeros)}, step=0, groups=Group(lr=0.1))
    assert len(reserved) == 1
    assert reserved[0] >= 0


READ_ONLY = """
import os, sys
import numpy as np
from lion_ref.run_state import Group, load, save
if os.getuid() == 0:
    os.setuid(65534)  # root may write to any folder
w = np.zeros(4, np.float32)
try:
    save(sys.argv[1], {"w": (w, w)}, step=0, groups=Group(lr=0.1))
except OSError as error:
    print(type(error).__name__, load(sys.argv[1]).header.step)
"""


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="folders have other rights here")
def test_a_folder_that_is_not_to_be_written_is_an_error() -> None:
    with tempfile.TemporaryDirectory() as name:
        path = small(Path(name, "run"))
        path.parent.chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY, path], capture_output=True, text=True, check=False
        )
        path.parent.chmod(0o700)
        assert (done.returncode, done.stdout) == (0, "PermissionError 7\n"), done.stderr


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ones(tmp_path / "nowhere" / "run")


def test_what_is_no_regular_file_is_not_replaced(tmp_path: Path) -> None:
    folder, pipe = tmp_path / "folder", tmp_path / "pipe"
    folder.mkdir()
    os.mkfifo(pipe)
    for path in (folder, pipe, Path("/dev/null"), Path()):
        with pytest.raises(ValueError, match=r"is no regular file; legal: a file, or what is to"):
            ones(path)


def test_a_link_stays_one_and_its_file_is_replaced(tmp_path: Path) -> None:
    path, link = small(tmp_path / "run"), tmp_path / "latest"
    link.symlink_to("run")
    ones(link)
    assert link.is_symlink()
    assert load(path).header.step == 9


def test_an_unfinished_file_that_is_a_link_leads_nowhere(tmp_path: Path) -> None:
    """Or whoever may write to the folder chooses a file that an export destroys."""
    other = tmp_path / "other"
    other.write_text("mine", encoding="utf-8")
    (tmp_path / "run.part").symlink_to(other)
    ones(tmp_path / "run")
    assert other.read_text(encoding="utf-8") == "mine"


def test_who_has_the_old_file_open_keeps_it(tmp_path: Path) -> None:
    path = small(tmp_path / "run")
    state = load(path)
    early = state.tensors["fc.weight"]
    expected = bits(early.momentum)
    ones(path)
    assert bits(early.momentum) == expected
    assert bits(state.tensors["fc.weight"].momentum) == expected
    assert load(path).header.step == 9


def test_a_tensor_that_was_forgotten_is_an_error(tmp_path: Path) -> None:
    path = small(tmp_path / "run")
    words = r"'w' has not been assigned; legal: all of the run's"
    with pytest.raises(ValueError, match=words), begun(path) as file:
        file["v"].param[...] = file["v"].momentum[...] = 1
    assert load(path).header.step == 7


def test_an_array_that_has_become_another_is_an_error(tmp_path: Path) -> None:
    class Changing:
        shape, dtype = (4,), np.dtype(np.float32)

        def __array__(self, *_: Any, **__: Any) -> np.ndarray[Any, Any]:
            return np.ones(1, np.float32)

    path = small(tmp_path / "run")
    with pytest.raises(ValueError, match=r"param of 'w' has become float32 of shape \(1,\); legal"):
        save(path, {"w": (Changing(), ONES)}, step=0, groups=Group(lr=0.1))
    masked = np.ma.masked_array(ONES, mask=True)
    with pytest.raises(TypeError, match="momentum of 'w' is a masked array"):
        save(path, {"w": (ONES, masked)}, step=0, groups=Group(lr=0.1))
    assert load(path).header.step == 7


def test_two_exports_to_one_path_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "run"
    first, second = begun(path), begun(path)
    first.create()
    second.create()
    for file, number in ((first, 1), (second, 2)):
        for name in TWO:
            file[name].param[...] = file[name].momentum[...] = number
    with pytest.raises(FileExistsError, match=r"another export to .* legal: one at a time"):
        first.finish()
    first.discard()
    assert not path.exists()
    second.finish()
    assert load(path).tensors["w"].param.tolist() == [2, 2, 2, 2]


def test_what_ends_one_of_several_processes_leaves_the_old_file(tmp_path: Path) -> None:
    path = small(tmp_path / "run")
    before = path.read_bytes()
    first, second = begun(path), begun(path)

    def write(file: Unfinished, number: int) -> None:
        with file.shared(nullcontext, first=file is first):
            file["w"].param[...] = number
            if file is first:
                write(second, 2)

    second.sync = Mock(side_effect=OSError("no room"))  # type: ignore[method-assign]
    with pytest.raises(OSError, match="no room"):
        write(first, 1)
    assert {x.name: x.read_bytes() for x in tmp_path.iterdir()} == {"run": before}


def test_a_share_of_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with pytest.raises(FileNotFoundError):  # nobody has created it
        _ = begun(path)["v"]
    begun(path).create()
    other = Unfinished(path, TWO, Header(2, (Group(lr=0.1),)))
    with pytest.raises(ValueError, match=r"run.part' is of another export; legal: the same path"):
        _ = other["v"]
    with pytest.raises(ValueError, match="of another export"):
        other.finish()


def test_a_save_in_place_would_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class InPlace(Unfinished):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.part = self.path

    monkeypatch.setattr("lion_ref.run_state.doors.Unfinished", InPlace)
    error = RuntimeError("the device is lost")
    with pytest.raises((AssertionError, FileNotFoundError)):
        test_an_error_in_the_middle_leaves_the_old_file(tmp_path, error)


def test_a_save_that_is_not_on_the_disk_before_it_is_renamed_would_be_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    replace = Path.replace

    def replaced(part: Path, path: Path) -> Path:
        done.append("replace")
        return replace(part, path)

    monkeypatch.setattr(os, "fsync", lambda _: done.append("fsync"))
    monkeypatch.setattr(Path, "replace", replaced)
    ones(tmp_path / "run")
    assert done == ["fsync", "replace"]
