"""Files as torch.save makes them of a training script, with the state of each Lion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import lion_ref
from lion_torch import Lion

PAIRS = sorted({triple[:2] for triple in lion_ref.legal_triples()})

# The options of a group beside "params", as these packages save them.
LIONS: dict[str, dict[str, Any]] = {
    "lion_torch": Lion([torch.zeros(1)], lr=0.5, betas=(0.8, 0.95), weight_decay=0.25).defaults,
    "lion-pytorch 0.2.5": {"lr": 0.5, "betas": (0.8, 0.95), "weight_decay": 0.25},
    "timm 1.0.31": {
        "lr": 0.5,
        "betas": (0.8, 0.95),
        "weight_decay": 0.25,
        "caution": False,
        "corrected_weight_decay": False,
        "max_lr_snapshot": None,
        "foreach": None,
        "maximize": False,
        "initial_lr": 0.5,
    },
}
# How the parts of a file are called.
FORMS: dict[str, Callable[[Any, Any, int], dict[str, Any]]] = {
    "torch's tutorials": lambda model, optimizer, n: {
        "model_state_dict": model,
        "optimizer_state_dict": optimizer,
        "iteration": n,
    },
    "short": lambda model, optimizer, n: {"model": model, "optimizer": optimizer, "step": n},
    "Lightning": lambda model, optimizer, n: {
        "epoch": 1,
        "global_step": n,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": model,
        "loops": {"fit_loop": {"state_dict": {}}},
        "optimizer_states": [optimizer],
        "lr_schedulers": [],
    },
    "timm": lambda model, optimizer, n: {
        "epoch": 3,
        "arch": "vit",
        "state_dict": model,
        "state_dict_ema": {},
        "optimizer": optimizer,
        "version": 2,
        "step": torch.tensor(n),
    },
}


def a_model() -> torch.nn.Sequential:
    """With buffers, two of them of a parameter's shape and dtype, and with a tied parameter."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 2),
        torch.nn.BatchNorm2d(3),
        torch.nn.Linear(3, 3),
        torch.nn.Linear(3, 3),
    )
    model[3].weight = model[2].weight
    return model


def momenta_of(names: list[str], model: torch.nn.Module) -> dict[str, torch.Tensor]:
    params = dict(model.named_parameters())
    return {name: torch.randn_like(params[name]) for name in names}


def state_dict(momenta: dict[str, torch.Tensor], options: dict[str, Any]) -> dict[str, Any]:
    """An optimizer's, of one group."""
    return {
        "state": {number: {"exp_avg": m} for number, m in enumerate(momenta.values())},
        "param_groups": [{**options, "params": list(range(len(momenta)))}],
    }


def a_file(path: Path, **parts: Any) -> Path:
    """A legal file, but for some parts; those that are None are left out."""
    model = a_model()
    momenta = momenta_of([name for name, _ in model.named_parameters()], model)
    content = {
        "model": model.state_dict(),
        "optimizer": state_dict(momenta, LIONS["timm 1.0.31"]),
        "step": 3,
    }
    content.update(parts)
    torch.save({name: part for name, part in content.items() if part is not None}, path)
    return path
