"""What training minimises, each a pure function of a batch."""

import torch
import torch.nn.functional as F


def batch_hard_triplet(features: torch.Tensor, labels: torch.Tensor, margin: float) -> torch.Tensor:
    """Triplet loss on each crop's farthest positive and nearest negative (Hermans et al. 2017).

    `features` (B, D), not of unit length; `labels` (B,) int64. The mean over the batch of
    ``max(0, margin + farthest positive - nearest negative)`` in Euclidean distance. Raises ``ValueError`` when the
    batch holds one label only.
    """
    same = labels[:, None] == labels
    if bool(same.all()):
        raise ValueError("expected at least two people in a batch for the triplet loss, got one")
    distances = _distances(features)
    farthest_positive = distances.masked_fill(~same, -torch.inf).amax(1)
    nearest_negative = distances.masked_fill(same, torch.inf).amin(1)
    return F.relu(margin + farthest_positive - nearest_negative).mean()


def _distances(features: torch.Tensor) -> torch.Tensor:
    """(B, D) → (B, B) Euclidean; the floor keeps the root's gradient finite at distance 0."""
    squares = features.square().sum(1)
    squared = squares[:, None] + squares - 2 * features @ features.T
    return squared.clamp(min=1e-12).sqrt()


def teacher_cosine(embedding: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """1 - mean cosine between (B, D) embeddings and a teacher's unit rows of the same crops."""
    return 1 - (F.normalize(embedding) * teacher).sum(1).mean()


def teacher_pairs(embedding: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of the two (B, B) cosine tables: the teacher's geometry, whatever its axes.

    `teacher` are unit rows, of any length. Follows Park et al. 2019, "Relational Knowledge Distillation".
    """
    unit = F.normalize(embedding)
    return (unit @ unit.T - teacher @ teacher.T).square().mean()
