"""The sdist and the wheel, built once for the tests that read and install them.

`LION_DIST` names a folder with an sdist and a wheel to test instead of building them.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from tests.repo.wheels import ROOT, run_python


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one sdist and the wheel built from it."""
    if given := os.environ.get("LION_DIST"):
        return (ROOT / given).resolve()
    folder = tmp_path_factory.mktemp("dist")
    run_python("-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT))
    return folder


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Path:
    """The built wheel."""
    (path,) = dist.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def sdist(dist: Path) -> Path:
    """The built source distribution."""
    (path,) = dist.glob("*.tar.gz")
    return path


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """What a new user's sys.path holds: the installed wheel, NumPy and ml_dtypes."""
    target = tmp_path_factory.mktemp("installed")
    run_python("-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", target, wheel)
    minimal = tmp_path_factory.mktemp("minimal")
    for name in ("numpy", "ml_dtypes"):
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        package = Path(spec.origin).parent
        # numpy.libs holds the shared libraries that NumPy's wheel brings along
        for found in package.parent.glob(f"{name}*"):
            (minimal / found.name).symlink_to(found)
    return [target, minimal]
