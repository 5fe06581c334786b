"""What `lion-ref convert` refuses: in one line, and all is as it was (C13, C34)."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest

from lion_adapters import command
from tests.hostile import BETRAYED
from tests.lion_adapters.test_convert import refused, saved


def test_names_that_do_not_fit_are_all_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, names = saved(tmp_path / "run.safetensors"), tmp_path / "names.json"
    wrong = {
        "gone": "x",
        "fc.weight": ["w", [0, 0]],
        "fc.bias": "scale",
        "none": 3,
    }
    names.write_text(json.dumps(wrong))
    words = refused(capsys, tmp_path, path, tmp_path / "new.safetensors", "--map", names)
    assert words == (
        f"{str(path)!r}: the mapping does not fit. 'gone' is not in it; 'fc.weight' has 2 axes, "
        "not [0, 0]; 'none' is mapped to 3; 'scale' would be of 'fc.bias' and 'scale'; legal: "
        "from a name in it to a name, or to [name, [axes]], each name once"
    )
    for text in ("[]", '{"a": 1, "a": 2}', "{", "\x00"):
        names.write_text(text)
        words = refused(capsys, tmp_path, path, tmp_path / "new.safetensors", "--map", names)
        assert words.endswith("legal: an object of names by name, in JSON")
    names.write_text('{"scale": "../x"}')
    words = refused(capsys, tmp_path, path, tmp_path / "new.safetensors", "--map", names)
    assert "'../x'" in words


class Code:
    def __reduce__(self) -> Any:
        return os.system, (f"touch {BETRAYED}",)


@pytest.mark.clause("C13")
def test_names_that_do_not_fit_are_not_listed_endlessly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, names = saved(tmp_path / "run.safetensors"), tmp_path / "names.json"
    names.write_text(json.dumps({f"absent {i}": "x" for i in range(1000)}))
    words = refused(capsys, tmp_path, run, tmp_path / "new.safetensors", "--map", names)
    assert "'absent 19' is not in it and 980 more; legal: " in words


@pytest.mark.clause("C13", "C34")
def test_a_pickle_with_code_is_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    plain, packed = tmp_path / "plain.pt", tmp_path / "packed.pt"
    plain.write_bytes(pickle.dumps({"model": Code()}))
    torch.save({"model": Code(), "optimizer": {}, "step": 1}, packed)
    for path in (plain, packed):
        assert "legal: " in refused(capsys, tmp_path, path, tmp_path / "new.safetensors")
    assert not (tmp_path / BETRAYED).exists()


@pytest.mark.clause("C13", "C34")
def test_a_state_of_another_optimizer_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch = pytest.importorskip("torch")
    model = torch.nn.Linear(4, 3)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(4)).sum().backward()
    optimizer.step()
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": 1}
    torch.save(state, tmp_path / "adam.pt")
    words = refused(capsys, tmp_path, tmp_path / "adam.pt", tmp_path / "new.safetensors")
    assert "has 'exp_avg_sq' in its state, so it is another optimizer's" in words


@pytest.mark.clause("C13", "C34")
def test_what_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = tmp_path / "new.safetensors"
    path = tmp_path / "x.pt"
    legal = "legal: a run state, a PyTorch checkpoint, an Orbax folder, a Keras file"
    assert refused(capsys, tmp_path, path, new).startswith("[Errno 2] No such file")
    for octets in (b"", b"\x00" * 9, b"dear diary"):
        path.write_bytes(octets)
        words = refused(capsys, tmp_path, path, new)
        assert words == f"{str(path)!r} is of no form that is known; {legal}"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "dear diary")
    assert "is of no form that is known" in refused(capsys, tmp_path, path, new)
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")  # no whole archive either
    assert "is of no form that is known" in refused(capsys, tmp_path, path, new)
    folder = tmp_path / "folder"
    folder.mkdir()
    words = refused(capsys, tmp_path, folder, new)
    assert words == f"{str(folder)!r} is a folder, but none of one tree of Orbax's; {legal}"
    for place in (folder / "3", folder / "12" / "default"):
        place.mkdir(parents=True)
        (place / "_METADATA").touch()
    words = refused(capsys, tmp_path, folder, new)
    assert f"of Orbax's, as {str(folder / '3')!r} in it is; {legal}" in words
    whole = saved(tmp_path / "run.safetensors")
    octets = whole.read_bytes()
    for size in (9, 100, len(octets) // 2, len(octets) - 1):
        path.write_bytes(octets[:size])
        assert str(path) in refused(capsys, tmp_path, path, new)
    words = refused(capsys, tmp_path, whole, tmp_path / "new.h5")
    assert words.endswith(
        "ends in nothing that says its form; legal: .safetensors, .pt, .pth, .ckpt, .bin, .orbax, "
        ".keras, .weights.h5, or --to FORM"
    )
    words = refused(capsys, tmp_path, whole, new, "--lr", "0.1")
    assert words == f"{str(whole)!r}: a run state has η, β1, β2 and λ; legal: without --lr"
    words = refused(capsys, tmp_path, whole, new, "--step", "3")
    assert words == f"{str(whole)!r}: a run state has its step; legal: without --step"
    words = refused(capsys, tmp_path, whole, new, "--like", whole)
    assert words == f"--like is for a Keras file, and {str(new)!r} is a run state"
    words = refused(capsys, tmp_path, whole, new, "--lr", "nan")
    assert words == "lr=nan is not legal; legal: a finite number >= 0"
    words = refused(capsys, tmp_path, whole, tmp_path / "nowhere" / "new.safetensors")
    assert words == f"{str(tmp_path / 'nowhere')!r} is no folder; legal: one that is there"
    inside = folder / "3" / "new.safetensors"
    words = refused(capsys, tmp_path, folder / "3", inside)
    assert words == f"{str(inside)!r} is in the source; legal: another folder"
    words = refused(capsys, tmp_path, whole, tmp_path / "new.weights.h5")
    assert words == (
        f"{str(tmp_path / 'new.weights.h5')!r}: Keras alone can make a file of a model; legal: "
        "--like, and a file that Keras saved of the same model after a step"
    )


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["convert"],
        ["convert", "a"],
        ["convert", "a", "b", "--to", "pickle"],
        ["convert", "a", "b", "--step", "x"],
        ["convert", "a", "b", "--beta1", "0.9"],
    ],
    ids=" ".join,
)
def test_usage_is_status_two(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        command.main(argv)
    assert exited.value.code == 2
    assert "usage: lion-ref" in capsys.readouterr().err
