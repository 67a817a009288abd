"""Figures that every task which tells classes apart logs."""

import torch
import torch.nn.functional as F


def top1_error(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The share of (B, L) whose best class is not its label (B,)."""
    return (logits.argmax(1) != labels).float().mean().item()


def validation_figures(logits: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Loss and top-1 error of what was held out, under the names that curves and early stopping know."""
    return {"validation_loss": F.cross_entropy(logits, labels).item(), "validation_error": top1_error(logits, labels)}
