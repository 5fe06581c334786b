"""What is known of published Lions beside what judging them finds: mistakes, notes, the unjudged.

That a difference is a mistake, and not another rounding, is for a person to say. Each mistake has a
page in docs/reproductions/ with a program that shows it without this project.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Mistake:
    """What a library does wrong, and the page that shows it."""

    families: tuple[str, ...]
    """The names in FAMILIES of those that it is seen in."""
    sentence: str
    page: str
    """Its file in docs/reproductions/, without `.md`."""


@dataclass(frozen=True, slots=True)
class NotJudged:
    """A package that has a Lion, or is thought to, and why it is not among FAMILIES."""

    name: str
    version: str
    month: str
    """When that version was published."""
    why: str


MISTAKES: Final = (
    Mistake(
        ("deepspeed",),
        "where c is 0 or NaN, θ moves by η: a weight without gradients drifts, a NaN stays unseen",
        "deepspeed",
    ),
    Mistake(("deepspeed",), "a parameter that is not contiguous is never updated", "deepspeed"),
    Mistake(
        ("dadaptation",),
        "m is kept in units of d·g and then mixed with g itself, so it hardly counts",
        "dadaptation",
    ),
    Mistake(
        ("lion-pytorch",),
        "with use_triton, a NaN gradient moves θ by +η in every step from then on, unseen",
        "lion-pytorch",
    ),
    Mistake(("torch-optimi",), "at η·λ = 1 the decay is left out", "torch-optimi"),
    Mistake(
        ("torch-optimi",),
        "in 16 bits the decay is not compensated and is lost, and `p.grad` is overwritten",
        "torch-optimi",
    ),
    Mistake(
        ("lion-pytorch", "timm", "pytorch_optimizer", "torch-optimi"),
        "with foreach, in 16 bits on a CPU, PyTorch rounds 1-ηλ to the parameter's dtype",
        "pytorch",
    ),
    Mistake(("mlx",), "in float64, η is rounded to float32", "mlx"),
    Mistake(
        ("keras-torch",),
        "η is rounded to the dtype of the first variable, and used for all of them",
        "keras-torch",
    ),
)

OVER_FIRST: Final = ("llm-foundry", "zetascale")
"""The families whose decay is λ·η/η₀, where η₀ is the first η; they are judged given η₀·λ."""

NOTES: Final = {
    **dict.fromkeys(OVER_FIRST, "decays by λ·η/η₀, where η₀ is the first η: give it η₀·λ for λ"),
    "torch-optimi": "keeps what a rounding of θ lost and adds it back, in 16 bits",
    "dadaptation": "multiplies η by a d that it adapts (here held at 1)",
    "deepspeed": "its default β2 is 0.999, not 0.99",
}
"""What a user has to know, and no bit of one step shows."""

NOT_JUDGED: Final = (
    NotJudged(
        "adv-lion",
        "0.1.1",
        "2025-09",
        "its import fails where file names distinguish case; adv_optm has replaced it",
    ),
    NotJudged(
        "lion-tf", "0.0.1", "2023-02", "its module has the name of one of ours; it has no decay"
    ),
    NotJudged("decoupledlionw", "0.1.2", "2023-05", "the wheel holds no code"),
    NotJudged(
        "fastxtend", "0.1.7", "2023-12", "needs fastai, and with it torchvision and other torch"
    ),
    NotJudged(
        "bitsandbytes, 8 bits", "0.50.2", "2026-08", "another algorithm: its momentum has 8 bits"
    ),
    NotJudged(
        "torchzero",
        "0.4.4",
        "2026-02",
        "a kit: Lion, decay and η are parts that the user puts together",
    ),
    NotJudged("transformers", "5.23.0", "2026-11", "calls the Lion of bitsandbytes"),
    NotJudged("flax", "0.12.12", "2026-10", "has optimizers from optax alone"),
    NotJudged("tensorflow-addons", "0.23.0", "2023-11", "has no Lion"),
    NotJudged("tf-models-official", "2.20.0", "2026-02", "has no Lion of its own"),
    NotJudged("heavyball", "3.2.1", "2026-08", "has no Lion"),
    NotJudged("fastai", "2.8.12", "2026-09", "has no Lion"),
    NotJudged("kappamodules", "0.1.112", "2025-01", "has no Lion of its own"),
    NotJudged("stable-pretraining", "0.1.8", "2026-07", "has no Lion of its own"),
)
