"""Step inside the backward pass, so that no more than one gradient is held at a time.

python examples/torch_step_in_backward.py
"""

from __future__ import annotations

import torch

from lion_torch import Lion


def main() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(*(torch.nn.Linear(64, 64) for _ in range(8)))
    optimizers: dict[torch.Tensor, Lion] = {
        param: Lion([param], lr=1e-3) for param in model.parameters()
    }
    alive: set[int] = set()
    most = 0

    def arrived(param: torch.Tensor) -> None:
        nonlocal most
        alive.add(id(param))
        most = max(most, len(alive))

    def step_and_free(param: torch.Tensor) -> None:
        optimizers[param].step()
        param.grad = None
        alive.discard(id(param))

    for param in model.parameters():
        param.register_hook(lambda _, param=param: arrived(param))
        param.register_post_accumulate_grad_hook(step_and_free)

    x = torch.randn(32, 64)
    for step in range(20):
        loss = (model(x) - x).square().mean()
        loss.backward()
        if step % 10 == 9:
            print(f"loss {loss.item():.4f}")
    print(f"gradients held at a time: {most} of {len(optimizers)}")


if __name__ == "__main__":
    main()
