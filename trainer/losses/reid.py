"""Losses of embeddings. Triplet and circle are pytorch-metric-learning's, in the form that papers report."""

import torch
import torch.nn.functional as F
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import CircleLoss, TripletMarginLoss
from pytorch_metric_learning.miners import BatchHardMiner
from pytorch_metric_learning.reducers import MeanReducer
from torch import nn

_EUCLIDEAN = LpDistance(normalize_embeddings=False)


def batch_hard_triplet(features: torch.Tensor, labels: torch.Tensor, margin: float) -> torch.Tensor:
    """Triplet loss on each crop's farthest positive and nearest negative (Hermans et al. 2017).

    `features` (B, D), not of unit length; `labels` (B,) int64. The mean over the batch of
    ``max(0, margin + farthest positive - nearest negative)`` in Euclidean distance; a crop without a positive, or a
    batch of one person, has no triplet.
    """
    triplets = BatchHardMiner(distance=_EUCLIDEAN)(features, labels)
    loss: torch.Tensor = TripletMarginLoss(margin, distance=_EUCLIDEAN, reducer=MeanReducer())(
        features, labels, triplets
    )
    return loss


def circle(features: torch.Tensor, labels: torch.Tensor, margin: float, scale: float) -> torch.Tensor:
    """Circle loss on cosines (Sun et al. 2020): pairs far from their optimum weigh more.

    `features` (B, D); `labels` (B,) int64; the paper's re-identification runs use margin 0.25 and scale 128.
    """
    loss: torch.Tensor = CircleLoss(m=margin, gamma=scale)(features, labels)
    return loss


class CentreLoss(nn.Module):
    """Half the mean squared distance to one's class centre (Wen et al. 2016), the centres following their classes.

    After each batch in training, ``centre += rate · Σ (feature - centre) / (1 + count)`` over the class's crops: the
    paper's own rule, so the centres need no optimiser. They are kept with the checkpoint.
    """

    centres: torch.Tensor

    def __init__(self, num_classes: int, size: int, rate: float = 0.5) -> None:
        super().__init__()
        self.rate = rate
        self.register_buffer("centres", torch.zeros(num_classes, size))

    def forward(self, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """(B, D) features and (B,) int64 labels → a scalar."""
        offsets = features - self.centres[labels]
        if self.training:
            self._follow(offsets.detach(), labels)
        return offsets.square().sum(1).mean() / 2

    def _follow(self, offsets: torch.Tensor, labels: torch.Tensor) -> None:
        counts = torch.bincount(labels, minlength=len(self.centres))
        sums = torch.zeros_like(self.centres).index_add_(0, labels, offsets)
        self.centres += self.rate * sums / (1 + counts)[:, None]


def teacher_cosine(embedding: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """1 - mean cosine between (B, D) embeddings and a teacher's unit rows of the same crops."""
    return 1 - (F.normalize(embedding) * teacher).sum(1).mean()


def teacher_pairs(embedding: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of the two (B, B) cosine tables: the teacher's geometry, whatever its axes.

    `teacher` are unit rows, of any length. Follows Park et al. 2019, "Relational Knowledge Distillation".
    """
    unit = F.normalize(embedding)
    return (unit @ unit.T - teacher @ teacher.T).square().mean()
