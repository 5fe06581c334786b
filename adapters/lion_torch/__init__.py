"""lion_torch: the Lion optimizer for PyTorch, bit for bit as SPEC.md defines it."""

from lion_torch.optimizer import Lion

__all__ = ["Lion"]
