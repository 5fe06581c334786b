"""The action, its steps run by bash as GitHub's runner does, and the hook of pre-commit."""

from __future__ import annotations

import re
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.lion_conformance.installed import environment, shell

ROOT = Path(__file__).parents[2]
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
TEXT = {"type": "string"}
STEP = {"name": TEXT, "id": TEXT, "if": TEXT, "env": {"additionalProperties": TEXT}}
SCHEMA = {
    "additionalProperties": False,
    "required": ["name", "description", "inputs", "outputs", "runs"],
    "properties": {
        **dict.fromkeys(("name", "description", "author"), TEXT),
        "branding": {"required": ["icon", "color"]},
        "inputs": {
            "additionalProperties": {
                "additionalProperties": False,
                "required": ["description"],
                "properties": {
                    "description": TEXT,
                    "default": TEXT,
                    "required": {"type": "boolean"},
                },
            }
        },
        "outputs": {
            "additionalProperties": {
                "additionalProperties": False,
                "required": ["description", "value"],
                "properties": {"description": TEXT, "value": TEXT},
            }
        },
        "runs": {
            "additionalProperties": False,
            "properties": {
                "using": {"const": "composite"},
                "steps": {"items": {"oneOf": [{"$ref": "#/$defs/run"}, {"$ref": "#/$defs/uses"}]}},
            },
        },
    },
    "$defs": {
        "run": {
            "additionalProperties": False,
            "required": ["run", "shell"],
            # No expression within a script: whatever an input says would be run.
            "properties": {**STEP, "shell": TEXT, "run": {"not": {"pattern": r"\$\{\{"}}},
        },
        "uses": {
            "additionalProperties": False,
            "required": ["uses"],
            "properties": {**STEP, "with": {}, "uses": {"pattern": r"^[\w-]+/[\w-]+@v\d+$"}},
        },
    },
}
"""Of a composite action, after GitHub's own schema of action.yml."""

RIGHT = "import lion_ref\nstep = lion_ref.step\n"
WRONG = """
import lion_ref

def step(*arrays, lr, beta1, beta2, weight_decay):
    return lion_ref.step(*arrays, lr=lr, beta1=beta2, beta2=beta1, weight_decay=weight_decay)
"""


def parsed(file: str) -> Any:
    return yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))


def faults(action: dict[str, Any]) -> list[str]:
    """Where the action is not what the schema says, and inputs that are not used or not there."""
    errors = jsonschema.Draft202012Validator(SCHEMA).iter_errors(action)
    used = set(re.findall(r"inputs\.([\w-]+)", yaml.safe_dump(action["runs"])))
    return [*sorted(error.json_path for error in errors), *sorted(used ^ set(action["inputs"]))]


def test_the_action_is_a_composite_one() -> None:
    assert faults(parsed("action.yml")) == []


def broken(path: str, key: str, value: Any) -> dict[str, Any]:
    """The action with something else at a place, or beside it."""
    action: dict[str, Any] = parsed("action.yml")
    at: Any = action
    for name in path.split():
        at = at[int(name) if name.isdigit() else name]
    at[key] = value
    return action


@pytest.mark.parametrize(
    ("path", "key", "value", "found"),
    [
        ("", "permissions", {}, "$"),
        ("inputs port", "default", 1, "$.inputs.port.default"),
        ("inputs", "count", {"description": "unused"}, "count"),
        ("outputs cause", "value", None, "$.outputs.cause.value"),
        ("runs", "using", "node20", "$.runs.using"),
        ("runs steps 2", "run", "lion-conformance verify ${{ inputs.port }}", "$.runs.steps[2]"),
        ("runs steps 2", "with", {}, "$.runs.steps[2]"),
        ("runs steps 3", "uses", "actions/upload-artifact@main", "$.runs.steps[3]"),
        ("runs steps 1 env", "INSTALL", "${{ inputs.instal }}", "instal"),
    ],
)
def test_what_would_be_wrong_with_an_action_is_found(
    path: str, key: str, value: Any, found: str
) -> None:
    assert found in faults(broken(path, key, value))


@dataclass(frozen=True)
class Job:
    """A folder with what a runner gives to the steps of an action."""

    folder: Path
    env: dict[str, str]

    def step(self, name: str, **inputs: str) -> subprocess.CompletedProcess[str]:
        """Run a step with these inputs, the others as the action has them."""
        action = parsed("action.yml")
        found = next(x for x in action["runs"]["steps"] if x["name"] == name)
        assert found["shell"] == "bash"
        given = {k: v["default"] for k, v in action["inputs"].items()}
        given |= {key.replace("_", "-"): value for key, value in inputs.items()}

        def evaluated(match: re.Match[str]) -> str:
            scope, _, key = match[1].partition(".")
            return given[key] if scope == "inputs" else {"runner": self.env["RUNNER_TEMP"]}[scope]

        variables = {k: EXPRESSION.sub(evaluated, v) for k, v in found["env"].items()}
        return shell(found["run"], self.folder, self.env | variables)

    def read(self, variable: str) -> str:
        return Path(self.env[variable]).read_text(encoding="utf-8")

    def outputs(self) -> dict[str, str]:
        text = self.read("GITHUB_OUTPUT")
        found = re.findall(r"^(\w+)<<(\w+)\n(.*?)\n\2$", text, re.MULTILINE | re.DOTALL)
        return {name: value for name, _, value in found}

    def kept(self) -> set[str]:
        reports = Path(self.env["RUNNER_TEMP"], "lion-conformance")
        return {x.name for x in reports.iterdir()} if reports.exists() else set()


@pytest.fixture
def job(tmp_path: Path) -> Job:
    folder, temporary = tmp_path / "workspace", tmp_path / "temporary"
    folder.mkdir()
    temporary.mkdir()
    given = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_ACTION_PATH": str(ROOT),
        "GITHUB_WORKSPACE": str(folder),
        "RUNNER_TEMP": str(temporary),
    }
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        given[name] = str(temporary / name)
        Path(given[name]).touch()
    return Job(folder, environment(tmp_path / "bin") | given)


QUICK = {"dtypes": "float32, float16", "max_examples": "1"}
JUDGE = "Judge the port"


def test_a_right_port_passes_with_its_report(job: Job) -> None:
    (job.folder / "mine.py").write_text(RIGHT)
    done = job.step(JUDGE, port="mine:step", **QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "::" not in done.stdout
    assert "bit-exact** lion_ref.update.step, float32, float16" in job.read("GITHUB_STEP_SUMMARY")
    assert job.outputs() == {"verdict": "bit-exact", "cause": "", "code": ""}
    assert job.kept() == {"report.html", "report.json"}


def test_a_kernel_is_judged_without_a_gpu(job: Job) -> None:
    kernel = ROOT / "examples" / "ports" / "cuda" / "kernel.toml"
    done = job.step(JUDGE, kernel=str(kernel), max_examples="1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bit-exact** lion (PTX, no GPU: PTX interpreted), float32" in job.read(
        "GITHUB_STEP_SUMMARY"
    )
    assert job.outputs() == {"verdict": "bit-exact", "cause": "", "code": ""}


def test_a_wrong_port_fails_with_an_annotation_and_all_that_tells_why(job: Job) -> None:
    (job.folder / "mine.py").write_text(WRONG)
    done = job.step(JUDGE, port="mine:step", **QUICK)
    assert done.returncode == 1, done.stdout + done.stderr
    cause = "β1 and β2 are swapped (SPEC C5)"
    assert "::error file=mine.py,line=4,title=rejected%3A mine.step%2C " in done.stdout
    assert f"::{cause}" in done.stdout
    assert cause in job.read("GITHUB_STEP_SUMMARY")
    assert "One counterexample" in job.read("GITHUB_STEP_SUMMARY")
    assert job.outputs() == {"verdict": "rejected", "cause": cause, "code": "betas-swapped"}
    assert job.kept() == {"report.html", "report.json", "reproduce-mine-step.py"}


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        ({"port": "nowhere:step"}, "port='nowhere:step': importing nowhere failed with Module"),
        ({}, "a port to judge; legal: either MODULE:CALLABLE, --exec PROGRAM or --ptx FILE"),
        ({"exec": "./nowhere"}, "the program ./nowhere cannot be started: "),
        # What an input says is never run, and never taken for an option.
        ({"port": "$(touch run):`touch run`"}, "port='$(touch run):`touch run`'"),
        ({"port": "--help"}, "port='--help' is not legal; legal: MODULE:CALLABLE"),
        ({"exec": "$(touch run) ; touch run"}, "the program $(touch cannot be started"),
        ({"port": "mine:step", "dtypes": "*"}, "dtype='*' is not legal"),
    ],
)
def test_what_cannot_be_judged_is_a_warning_and_status_2(
    inputs: dict[str, str], why: str, job: Job
) -> None:
    (job.folder / "mine.py").write_text(RIGHT)
    done = job.step(JUDGE, **inputs)
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"::warning title=lion-conformance%3A not run::{why}" in done.stdout
    assert job.read("GITHUB_STEP_SUMMARY").startswith(f"# Lion conformance\n\nnot run: {why}")
    assert job.outputs() == {"verdict": "not run", "cause": "", "code": ""}
    assert {x.name for x in job.folder.iterdir()} - {"__pycache__"} == {"mine.py"}


def test_the_judge_is_installed_from_the_action_with_what_the_port_imports(job: Job) -> None:
    pip = Path(job.env["PATH"].partition(":")[0], "python")
    pip.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    done = job.step("Install the judge", install="torch==2.* $(touch run) -r requirements.txt")
    assert done.stdout.split("\n")[:-1] == [
        *("-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        f"{ROOT}[conformance]",
        *("torch==2.*", "$(touch", "run)", "-r", "requirements.txt"),
    ]
    assert list(job.folder.iterdir()) == []


def test_the_report_is_kept_even_when_the_port_is_wrong() -> None:
    *_, judged, kept = parsed("action.yml")["runs"]["steps"]
    assert judged["id"] == "verify"
    assert kept["if"] == "${{ !cancelled() }}"
    assert kept["with"]["path"] == judged["env"]["REPORTS"]


# pre-commit


def test_the_hook_is_a_command_that_is_installed() -> None:
    (hook,) = parsed(".pre-commit-hooks.yaml")
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert hook["id"] == hook["entry"] == "lion-conformance"
    assert hook["entry"] in scripts
    assert hook["language"] == "python"
    assert hook["pass_filenames"] is False, "a port is named, not a file"
    assert re.search(hook["files"], "my_lion.py")
    assert hook["additional_dependencies"] == [".[conformance]"]


def test_the_hook_is_one_by_the_schema_of_pre_commit() -> None:
    clientlib = pytest.importorskip("pre_commit.clientlib")
    (hook,) = clientlib.load_manifest(ROOT / ".pre-commit-hooks.yaml")
    assert hook["language"] == "python"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "status", "said"), [(RIGHT, 0, "Passed"), (WRONG, 1, "swapped")]
)
def test_the_hook_judges_in_a_repository(
    source: str, status: int, said: str, tmp_path: Path
) -> None:
    """With an index to install from, and the checkout's last commit."""
    env = environment(tmp_path / "bin") | {"PRE_COMMIT_HOME": str(tmp_path / "home")}
    env.pop("PYTHONPATH")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "mine.py").write_text(source)
    words = "[verify, 'mine:step', --dtype, float32, --max-examples, '1']"
    head = shell("git rev-parse HEAD", ROOT, env).stdout.strip()
    (folder / ".pre-commit-config.yaml").write_text(
        f"repos:\n- repo: {ROOT}\n  rev: {head}\n  hooks:\n"
        f"  - id: lion-conformance\n    args: {words}\n"
    )
    assert shell("git init -q . && git add -A", folder, env).returncode == 0
    done = shell("python -m pre_commit run --all-files", folder, env)
    if "InstallError" in done.stdout or "CalledProcessError" in done.stdout:
        pytest.skip("pip has no index to install from")
    assert done.returncode == status, done.stdout + done.stderr
    assert said in done.stdout
