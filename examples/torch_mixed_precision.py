"""bfloat16 parameters with a float32 momentum, and float16 autocast with a GradScaler.

python examples/torch_mixed_precision.py
"""

from __future__ import annotations

import torch

from lion_torch import Lion


def bfloat16_parameters() -> None:
    """The momentum keeps what bfloat16 would round away; the update is computed in float32."""
    torch.manual_seed(0)
    model = torch.nn.Linear(16, 1).to(torch.bfloat16)
    optimizer = Lion(model.parameters(), lr=1e-2, momentum_dtype=torch.float32)
    x = torch.randn(128, 16, dtype=torch.bfloat16)
    y = x.sum(1, keepdim=True)
    for step in range(100):
        loss = (model(x) - y).float().square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 49:
            print(f"bfloat16 parameters: loss {loss.item():.4f}")
    print("their momentum:", optimizer.state[model.weight]["exp_avg"].dtype)


def scaled_gradients() -> None:
    """fused=True takes the scaled gradients, and skips the step if one of them overflowed."""
    torch.manual_seed(0)
    model = torch.nn.Linear(16, 1)
    optimizer = Lion(model.parameters(), lr=1e-2, fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24)
    x = torch.randn(128, 16)
    y = x.sum(1, keepdim=True)
    for step in range(100):
        with torch.autocast("cpu", dtype=torch.float16):
            loss = (model(x) - y).square().mean()
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        if step % 50 == 49:
            print(f"autocast: loss {loss.item():.4f}, scale {scaler.get_scale():g}")


if __name__ == "__main__":
    bfloat16_parameters()
    scaled_gradients()
