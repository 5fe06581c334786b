"""The Triton kernels of published Lions as PTX: `python -m ….ports.published.compile_triton`.

It compiles them from the packages that are installed, without a GPU, into data/ptx, where
`lion_conformance.ptx.published` judges them. A file says what it was made of, and its license.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Final

COMMAND: Final = "python -m lion_conformance.ports.published.compile_triton"
FOLDER: Final = Path(__file__).parents[2] / "data" / "ptx"
DTYPES: Final = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}
"""What is compiled for, and Triton's names."""
CAPABILITY: Final = 80


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel as its package launches it, but for the dtype."""

    package: str
    load: Callable[[], Any]
    """Imports the package, and gives the function that Triton compiles."""
    arrays: tuple[str, ...]
    whole: tuple[str, ...]
    floats: tuple[str, ...]
    constants: dict[str, Any] = field(default_factory=dict)
    dtype_constants: tuple[str, ...] = ()
    """The constants that are the dtype."""
    options: dict[str, Any] = field(default_factory=dict)


def _lion_pytorch() -> Any:
    from lion_pytorch.triton import update_fn_kernel

    return update_fn_kernel.fn  # inside of what chooses the size of a block


def _flashoptim() -> Any:
    from flashoptim.optimizers import _triton_momentum_kernel

    return _triton_momentum_kernel


KERNELS: Final = (
    Kernel(
        "lion-pytorch",
        _lion_pytorch,
        ("p_ptr", "grad_ptr", "exp_avg_ptr"),
        ("n_elements",),
        ("lr", "wd", "beta1", "beta2"),
        # The first of the two configurations that it chooses from by their speed.
        {"BLOCK_SIZE": 128},
        options={"num_warps": 4},
    ),
    Kernel(
        "flashoptim",
        _flashoptim,
        ("mom_ptr", "scales_ptr", "param_ptr", "grad_ptr", "ecc_ptr"),
        ("N",),
        ("lr", "mom_coef", "update_coef", "weight_decay"),
        {
            "GROUP_SIZE": 32,
            "DO_LION": True,
            "NESTEROV": False,
            "DECOUPLED_WEIGHT_DECAY": False,
            "USE_ECC": False,
            "QUANTIZE_OPTIM_STATES": False,
            "SIGNED_ERROR_T": "int8",
            "NUM_MANTISSA_BITS": 0,
            "SIGNED_MAX_VAL": 0,
            "BLOCK_SIZE_N": 1024,
        },
        dtype_constants=("PARAM_DTYPE",),
    ),
)


def compiled(kernel: Kernel, dtype: str) -> str:
    """The kernel's PTX for arrays of one dtype, with products and sums contracted."""
    os.environ["TRITON_DISABLE_LINE_INFO"] = "1"  # it holds paths of this machine
    import triton.language as tl
    from triton import compile as compile_ahead
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    function = kernel.load()
    kinds = (
        dict.fromkeys(kernel.arrays, f"*{DTYPES[dtype]}")
        | dict.fromkeys(kernel.whole, "i32")
        | dict.fromkeys(kernel.floats, "fp32")
    )
    constants = kernel.constants | dict.fromkeys(kernel.dtype_constants, getattr(tl, dtype))
    signature = {name: kinds.get(name, "constexpr") for name in function.arg_names}
    made = compile_ahead(
        ASTSource(function, signature, constants),
        target=GPUTarget("cuda", CAPABILITY, 32),
        # The default of Triton until 3.9, which warns where it is not said.
        options={"enable_fp_fusion": True, **kernel.options},
    )
    text: str = made.asm["ptx"]
    return text


def head(package: str) -> Iterator[str]:
    """What a file says of its origin; of a short license, all of it."""
    distribution = metadata.distribution(package)
    yield f"{package} {distribution.version}, its Triton kernel for Lion"
    yield f"made by {COMMAND}, Triton {metadata.version('triton')}, for sm_{CAPABILITY}"
    licenses = [x for x in distribution.files or () if x.name.startswith("LICENSE")]
    text = Path(str(licenses[0].locate())).read_text(encoding="utf-8").strip()
    yield ""
    if "Apache License" in text:
        yield "Apache License, Version 2.0: https://www.apache.org/licenses/LICENSE-2.0"
    else:
        yield from text.splitlines()
    yield ""


def written(packages: Iterable[str]) -> Iterator[Path]:
    """Each file, as soon as it is written."""
    FOLDER.mkdir(exist_ok=True)
    wanted = set(packages)
    for kernel in KERNELS:
        if wanted and kernel.package not in wanted:
            continue
        for dtype in DTYPES:
            lines = [f"// {line}".rstrip() for line in head(kernel.package)]
            path = FOLDER / f"{kernel.package}-{dtype}.ptx"
            path.write_text("\n".join([*lines, compiled(kernel, dtype)]), encoding="utf-8")
            yield path


if __name__ == "__main__":
    for _path in written(sys.argv[1:]):
        sys.stdout.write(f"written: {_path.name}\n")
