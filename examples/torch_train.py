"""Train a small network with lion_torch: schedules for the rate and the decay, and a checkpoint.

python examples/torch_train.py
"""

from __future__ import annotations

import io
from typing import Any

import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

from lion_torch import Lion

STEPS, WARMUP = 200, 20
PEAK_DECAY = 0.1


def main() -> None:
    torch.manual_seed(0)
    x = torch.linspace(-3, 3, 256).unsqueeze(1)
    y = torch.sin(x)
    model = torch.nn.Sequential(torch.nn.Linear(1, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1))
    # No decay for biases: a group of their own.
    weights = [p for p in model.parameters() if p.dim() > 1]
    biases = [p for p in model.parameters() if p.dim() <= 1]
    groups: list[dict[str, Any]] = [
        {"params": weights, "weight_decay": PEAK_DECAY},
        {"params": biases},
    ]
    optimizer = Lion(groups, lr=3e-3)
    scheduler = SequentialLR(
        optimizer,
        [LinearLR(optimizer, 0.05, total_iters=WARMUP), CosineAnnealingLR(optimizer, STEPS)],
        [WARMUP],
    )
    for step in range(STEPS):
        loss = (model(x) - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        # λ may change at every step, as η does.
        optimizer.param_groups[0]["weight_decay"] = PEAK_DECAY * (1 - step / STEPS)
        if (step + 1) % 50 == 0:
            print(f"loss after {step + 1} steps: {loss.item():.5f}")

    # What is saved continues bit for bit.
    saved = io.BytesIO()
    torch.save(optimizer.state_dict(), saved)
    saved.seek(0)
    again = Lion([{"params": weights}, {"params": biases}])
    again.load_state_dict(torch.load(saved, weights_only=True))
    momenta = [(optimizer.state[p]["exp_avg"], again.state[p]["exp_avg"]) for p in weights]
    print("momenta restored:", all(torch.equal(a, b) for a, b in momenta))


if __name__ == "__main__":
    main()
