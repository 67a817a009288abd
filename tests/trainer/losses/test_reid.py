import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.losses.reid import CentreLoss, batch_hard_triplet, circle, teacher_cosine, teacher_pairs


def rows(seed: int, count: int, dimension: int) -> torch.Tensor:
    return torch.randn(count, dimension, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slow_batch_hard(features: torch.Tensor, labels: torch.Tensor, margin: float) -> float:
    losses = []
    for anchor in range(len(features)):
        distances = [float((features[anchor] - other).norm()) for other in features]
        positives = [d for d, label in zip(distances, labels, strict=True) if label == labels[anchor]]
        negatives = [d for d, label in zip(distances, labels, strict=True) if label != labels[anchor]]
        losses.append(max(0.0, margin + max(positives) - min(negatives)))
    return sum(losses) / len(losses)


@given(seed=st.integers(0, 999), people=st.integers(2, 4), crops=st.integers(1, 3))
def test_batch_hard_triplet_agrees_with_a_loop_over_pairs(seed: int, people: int, crops: int) -> None:
    features = rows(seed, people * crops, 5)
    labels = torch.arange(people).repeat_interleave(crops)
    assert batch_hard_triplet(features, labels, 0.3).item() == pytest.approx(
        slow_batch_hard(features, labels, 0.3), abs=1e-5
    )


def test_batch_hard_triplet_has_a_finite_gradient_for_equal_crops() -> None:
    features = torch.ones(4, 3, requires_grad=True)
    batch_hard_triplet(features, torch.tensor([0, 0, 1, 1]), 0.3).backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()


def test_one_person_makes_no_triplet() -> None:
    assert batch_hard_triplet(torch.ones(2, 3), torch.tensor([1, 1]), 0.3).item() == 0


def test_circle_agrees_with_its_formula() -> None:
    features, labels, margin, scale = rows(0, 6, 4), torch.tensor([0, 0, 1, 1, 2, 2]), 0.25, 8.0
    cosines = torch.nn.functional.normalize(features) @ torch.nn.functional.normalize(features).T
    losses = []
    for anchor in range(6):
        positives = [cosines[anchor, j] for j in range(6) if j != anchor and labels[j] == labels[anchor]]
        negatives = [cosines[anchor, j] for j in range(6) if labels[j] != labels[anchor]]
        p = sum(torch.exp(-scale * (1 + margin - s).relu() * (s - (1 - margin))) for s in positives)
        n = sum(torch.exp(scale * (s + margin).relu() * (s - margin)) for s in negatives)
        losses.append(torch.log(1 + p * n))
    assert circle(features, labels, margin, scale).item() == pytest.approx(torch.stack(losses).mean().item(), rel=1e-6)


def test_centres_follow_their_classes() -> None:
    loss = CentreLoss(2, 2, rate=0.5)
    features, labels = torch.tensor([[2.0, 0.0], [4.0, 0.0], [0.0, 6.0]]), torch.tensor([0, 0, 1])
    assert loss(features, labels).item() == pytest.approx((4 + 16 + 36) / 3 / 2)
    assert torch.allclose(loss.centres, torch.tensor([[0.5 * 6 / 3, 0.0], [0.0, 0.5 * 6 / 2]]))
    for _ in range(100):
        loss(features, labels)
    assert torch.allclose(loss.centres, torch.tensor([[3.0, 0.0], [0.0, 6.0]]), atol=1e-3)
    before = loss.centres.clone()
    loss.eval()(features, labels)
    assert torch.equal(loss.centres, before)


def test_a_student_that_equals_its_teacher_loses_nothing() -> None:
    teacher = torch.nn.functional.normalize(rows(0, 6, 4))
    assert teacher_cosine(7 * teacher, teacher).item() == pytest.approx(0.0, abs=1e-12)
    assert teacher_cosine(-teacher, teacher).item() == pytest.approx(2.0)


def test_pairs_ask_for_the_geometry_and_not_the_axes() -> None:
    teacher = torch.nn.functional.normalize(rows(0, 6, 4))
    rotation, _ = torch.linalg.qr(rows(1, 4, 4))
    assert teacher_pairs(teacher @ rotation, teacher).item() == pytest.approx(0.0, abs=1e-12)
    student = torch.nn.functional.normalize(rows(2, 6, 3))
    squares = [
        float(student[i] @ student[j] - teacher[i] @ teacher[j]) ** 2 for i, j in itertools.product(range(6), repeat=2)
    ]
    assert teacher_pairs(student, teacher).item() == pytest.approx(sum(squares) / 36)


@pytest.mark.parametrize("loss", [teacher_cosine, teacher_pairs])
def test_gradients_are_those_of_the_formula(loss: object) -> None:
    teacher = torch.nn.functional.normalize(rows(0, 4, 3))
    student = rows(1, 4, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda embedding: loss(embedding, teacher), (student,))  # type: ignore[operator]
