"""A certificate that is not what was written is refused, and one that lies is found out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lion_conformance.exhaustive import files
from lion_conformance.exhaustive.certificate import Certificate, seal
from tests.lion_conformance.exhaustive.commands import PORTS, SLICE, run

pytestmark = pytest.mark.clause("C38")

Edit = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("written") / "lion.json"
    words = ("--dtype", "bfloat16", "--slice", SLICE, "--jobs", 1, "--out", out)
    assert run("exhaustive", "lion_ref:step", *words) == 0
    return out


def edited(written: Path, folder: Path, edit: Edit, *, sealed: bool) -> Path:
    document = json.loads(written.read_bytes())
    edit(document)
    if sealed:
        document["seal"] = seal(document)
    path = folder / "edited.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_what_is_written_is_read(written: Path, tmp_path: Path) -> None:
    certificate = files.load(written)
    assert isinstance(certificate, Certificate)
    again = tmp_path / "folder" / "again.json"
    files.save(certificate, again)
    assert again.read_bytes() == written.read_bytes()
    in_another_form = edited(written, tmp_path, lambda x: x, sealed=False)
    assert files.load(in_another_form) == certificate


@pytest.mark.parametrize("kept", [0, 1, 100, -3])
def test_a_truncated_one_is_refused(kept: int, written: Path, tmp_path: Path) -> None:
    path = tmp_path / "short.json"
    path.write_bytes(written.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"short\.json is cut short, or no certificate: "):
        files.load(path)


def test_what_no_parser_reads_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(ValueError, match=r"deep\.json is cut short, or no certificate: "):
        files.load(path)


@pytest.mark.parametrize(
    ("written_as", "told"),
    [
        ('{"verdict": "rejected", ', "an object has the key 'verdict' twice"),
        ('{"seconds": Infinity, ', "Infinity is no number"),
    ],
)
def test_what_readers_read_otherwise_is_refused(
    written_as: str, told: str, written: Path, tmp_path: Path
) -> None:
    path = tmp_path / "twice.json"
    path.write_text(written_as + written.read_text(encoding="utf-8")[1:], encoding="utf-8")
    with pytest.raises(ValueError, match=rf"no certificate: {told}"):
        files.load(path)


EDITS: dict[str, Edit] = {
    "verdict": lambda x: x.update(verdict="rejected"),
    "hyperparameters": lambda x: x["hyperparameters"].update(lr="0x1.0000000000000p-7"),
    "digests": lambda x: x["digests"].update({"1": "0" * 64}),
    "versions": lambda x: x["versions"].update(numpy="9.9"),
    "machines": lambda x: x["machines"].append("another"),
    "a field more": lambda x: x.update(more=1),
    "a field less": lambda x: x.pop("date"),
    "no seal": lambda x: x.pop("seal"),
}


@pytest.mark.parametrize("what", EDITS)
def test_an_edited_one_is_refused(what: str, written: Path, tmp_path: Path) -> None:
    path = edited(written, tmp_path, EDITS[what], sealed=False)
    words = (
        r"edited\.json is not legal: its seal is that of another text: it was edited, or cut sho"
    )
    with pytest.raises(ValueError, match=words):
        files.load(path)


EXAMPLE = {
    "given": {"param": "0x8000", "momentum": "0x0000", "grad": "0x0000"},
    "expected": {"param": "0x8000", "momentum": "0x0000"},
    "found": {"param": "0x0000", "momentum": "0x0000"},
}


def _rejected(document: dict[str, Any], pairs: int, *examples: dict[str, Any]) -> None:
    document["differing"]["pairs"] = pairs
    document.update(verdict="rejected", examples=list(examples))


SEALED: dict[str, tuple[Edit, str]] = {
    "another format": (lambda x: x.update(format="lion"), "it is no certificate; legal: 'format'"),
    "no object": (lambda x: x.clear(), "it is no certificate; legal: 'format' is 'lion-exhaust"),
    "another version": (lambda x: x.update(version=2), "it has version 2; legal: 1"),
    "a field more": (lambda x: x.update(more=1), "the document is an object of 2"),
    "a field less": (lambda x: x.pop("date"), "the document is an object of 1"),
    "a false verdict": (lambda x: x.update(verdict="rejected"), 'verdict is "rejected"; legal: "b'),
    "fewer pairs": (lambda x: x["judged"].update(pairs=5), 'judged is {"pairs": 5, "parameters"'),
    "another hash": (lambda x: x.update(sha256="0" * 64), 'sha256 is "000000'),
    "other blocks": (lambda x: x.update(blocks="blocks 0-9 of 4096"), 'blocks is "blocks 0-9 of'),
    "another digest": (lambda x: x["digests"].update({"1": "0" * 64}), "sha256 is "),
    "one more block": (lambda x: x["digests"].update({"2": "0" * 64}), "blocks is "),
    "one block twice": (lambda x: x["digests"].update({"0-15": "0" * 64}), "has a block twice"),
    "no group": (
        lambda x: x["digests"].update({"2-17": "0" * 64}),
        "digest of '2-17' is not legal",
    ),
    "no parameters": (lambda x: x["digests"].pop("4096"), "digests are not of block 4096 and one"),
    "no pairs": (
        lambda x: x["digests"].pop("1"),
        "digests are not of block 4096 and one of 0-4095",
    ),
    "another semantics": (lambda x: x["semantics"].update(subnormals="f"), "subnormals='f' is not"),
    "a number in words": (
        lambda x: x["hyperparameters"].update(lr="0.01"),
        "hyperparameters.lr is",
    ),
    "words for a terminal": (lambda x: x["port"].update(door="\x1b[2J"), r"port.door='\x1b[2J' is"),
    "words of a version": (
        lambda x: x["versions"].update(numpy="\x1b[2J"),
        r"versions.numpy='numpy\x1b[2J' is",
    ),
    "words of a machine": (lambda x: x.update(machines=["\x1b[2J"]), r"machines='\x1b[2J' is"),
    "versions that are not said": (lambda x: x["versions"].pop("SPEC.md"), "versions is an object"),
    "a scalar past all numbers": (
        lambda x: x["hyperparameters"].update(lr="0x1.0p+99999999"),
        "too large to represent",
    ),
    "an update that does not split": (
        lambda x: x["semantics"].update(decay="coupled"),
        "the update does not split",
    ),
    "exact, with an example": (lambda x: x["examples"].append(EXAMPLE), "1 examples of 0 that"),
    "rejected, without one": (lambda x: _rejected(x, 1), "0 examples of 1 that differ"),
    "more that differ than there are": (
        lambda x: _rejected(x, 2**20 + 1, EXAMPLE),
        "differing.pairs is 1048577; legal: 0 to 1048576",
    ),
    "an example that is right": (
        lambda x: _rejected(x, 1, EXAMPLE | {"found": EXAMPLE["expected"]}),
        "an example does not differ",
    ),
    "no learning rate": (
        lambda x: x["hyperparameters"].update(lr="0x0.0p+0"),
        "lr=0.0 is not legal for bfloat16",
    ),
}


@pytest.mark.parametrize("what", SEALED)
def test_a_sealed_one_that_contradicts_itself_is_refused(
    what: str, written: Path, tmp_path: Path
) -> None:
    edit, words = SEALED[what]
    with pytest.raises(ValueError, match=r"edited\.json is not legal: ") as refused:
        files.load(edited(written, tmp_path, edit, sealed=True))
    assert words in str(refused.value)


def test_a_sealed_one_of_invented_bits_is_found_by_computing_them_again(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("certificate", "check", written, "--recheck", 3) == 0
    said = capsys.readouterr().out
    assert said.startswith("bit-exact: lion_ref.update.step, step(...), cpu, bfloat16\n")
    assert "    whole: the seal is that of what it says\n" in said
    assert said.endswith("    computed again, and the same: blocks 4096, 1\n")

    lie = files.load(written)
    lie.digests[1, 1] = bytes(32)
    files.save(lie, tmp_path / "lie.json")
    assert run("certificate", "check", tmp_path / "lie.json") == 0  # the seal alone cannot know
    assert run("certificate", "check", tmp_path / "lie.json", "--recheck", 1) == 1
    said = capsys.readouterr().out
    assert said.endswith(
        "    block 1: the digest is not that of lion_ref; the certificate is false\n"
    )


def test_a_seal_is_no_signature(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bits are right; that they are another port's, only that port can show."""
    renamed = edited(written, tmp_path, lambda x: x["port"].update(name="mine"), sealed=True)
    assert run("certificate", "check", renamed, "--recheck", 1) == 0
    assert capsys.readouterr().out.startswith("bit-exact: mine, ")


def test_one_of_a_rejected_port_cannot_be_computed_again(tmp_path: Path) -> None:
    out = tmp_path / "rejected.json"
    words = ("--dtype", "bfloat16", "--slice", SLICE, "--jobs", 1, "--out", out)
    assert run("exhaustive", f"{PORTS}:one_sign", *words) == 1
    assert run("certificate", "check", out) == 1
    with pytest.raises(ValueError, match="the certificate says rejected: its digests are of the p"):
        run("certificate", "check", out, "--recheck", 1)
