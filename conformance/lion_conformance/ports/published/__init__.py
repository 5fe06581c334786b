"""The Lions that other projects publish, judged by `lion-conformance ports`: one file a family.

A file has `ports(device) -> list[Port]`, as those of `lion_conformance.ports`. It drives the
library as its users do, and declares nothing: what its bits are is for the diagnosis to find. How
to add one is told in docs/how-to/add-a-published-port.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lion_conformance.ports.backends import Backend

FAMILIES: Final = {
    family.name: family
    for family in (
        Backend(
            "lion-pytorch", f"{__name__}.lion_pytorch", ("torch", "lion_pytorch"), "lion-pytorch"
        ),
        Backend(
            "pytorch_optimizer",
            f"{__name__}.pytorch_optimizer",
            ("torch", "pytorch_optimizer"),
            "pytorch_optimizer",
        ),
        Backend("torch-optimi", f"{__name__}.optimi", ("torch", "optimi"), "torch-optimi"),
        Backend("timm", f"{__name__}.timm", ("torch", "timm"), "timm"),
        Backend(
            "bitsandbytes", f"{__name__}.bitsandbytes", ("torch", "bitsandbytes"), "bitsandbytes"
        ),
        Backend("adv_optm", f"{__name__}.adv_optm", ("torch", "adv_optm"), "adv_optm"),
        Backend(
            "llm-foundry",
            f"{__name__}.llm_foundry",
            ("torch", "llmfoundry"),
            "--no-deps llm-foundry",
        ),
        Backend("zetascale", f"{__name__}.zetascale", ("torch", "zeta"), "--no-deps zetascale"),
        Backend("flashoptim", f"{__name__}.flashoptim", ("torch", "flashoptim"), "flashoptim"),
        Backend("dadaptation", f"{__name__}.dadaptation", ("torch", "dadaptation"), "dadaptation"),
        Backend("deepspeed", f"{__name__}.deepspeed", ("torch", "deepspeed"), "deepspeed"),
        Backend("mlx", f"{__name__}.mlx", ("mlx",), "'mlx[cpu]'"),
        Backend("optax", f"{__name__}.optax", ("jax", "optax"), "optax"),
        *(
            Backend(
                f"keras-{backend}" if backend != "tensorflow" else "keras",
                f"{__name__}.keras_{backend}",
                (backend, "keras"),
                f"keras {backend}",
                environment=(("KERAS_BACKEND", backend),),
            )
            for backend in ("tensorflow", "torch", "jax")
        ),
        Backend("tf_keras", f"{__name__}.tf_keras", ("tensorflow", "tf_keras"), "tf_keras"),
    )
}


def family(name: str, known: Mapping[str, Backend] = FAMILIES) -> Backend:
    """The family of that name among those that are known; ValueError for any other.

    >>> family("lion")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: name='lion' is not legal; legal: lion-pytorch, ..., keras-jax, tf_keras
    """
    if name not in known:
        raise ValueError(f"name={name!r} is not legal; legal: {', '.join(known)}")
    return known[name]
