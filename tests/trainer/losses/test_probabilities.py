import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import hinge_loss, log_loss

from trainer.losses.probabilities import (
    PROBABILITY_LOSSES,
    categorical_cross_entropy,
    categorical_focal,
    categorical_hinge,
    kl_divergence,
    sparse_categorical_cross_entropy,
)


def drawn(seed: int, batch: int = 6, labels: int = 4) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits (B, L), labels (B,) and their one-hot rows."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, labels, generator=generator, dtype=torch.float64)
    classes = torch.randint(labels, (batch,), generator=generator)
    return logits, classes, F.one_hot(classes, labels).double()


@given(st.integers(0, 500))
def test_the_three_entropies_are_one_function_on_one_hot_targets(seed: int) -> None:
    logits, labels, targets = drawn(seed)
    probabilities = logits.softmax(1)
    expected = F.cross_entropy(logits, labels)
    assert expected.item() == pytest.approx(log_loss(labels, probabilities, labels=range(4)), rel=1e-9)
    for loss in (categorical_cross_entropy, kl_divergence):
        assert loss(probabilities, targets).item() == pytest.approx(expected.item(), abs=1e-5)
    assert sparse_categorical_cross_entropy(probabilities, labels).item() == pytest.approx(expected.item(), abs=1e-5)


@given(st.integers(0, 500))
def test_kl_divergence_is_torchs_on_soft_targets(seed: int) -> None:
    logits, _, _ = drawn(seed)
    probabilities, targets = logits.softmax(1), logits.flip(0).softmax(1)
    expected = F.kl_div(probabilities.log(), targets, reduction="batchmean")
    assert kl_divergence(probabilities, targets).item() == pytest.approx(expected.item(), abs=1e-5)
    assert kl_divergence(targets, targets).item() == pytest.approx(0, abs=1e-6)


@given(st.integers(0, 500))
def test_hinge_agrees_with_scikit_learn(seed: int) -> None:
    """Whose multi-class hinge is 1 less the margin, and no less than 0."""
    logits, labels, targets = drawn(seed)
    probabilities = logits.softmax(1)
    expected = hinge_loss(labels, probabilities, labels=range(4))
    assert categorical_hinge(probabilities, targets).item() == pytest.approx(expected, rel=1e-9)


def test_focal_by_hand() -> None:
    """p = 0.8 of the true label: 0.25 · 0.2² · −ln 0.8; and with γ 0 and α 1 it is cross-entropy."""
    probabilities = torch.tensor([[0.8, 0.2]], dtype=torch.float64)
    targets = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    assert categorical_focal(probabilities, targets).item() == pytest.approx(0.25 * 0.2**2 * -math.log(0.8))
    plain = categorical_focal(probabilities, targets, alpha=1, gamma=0)
    assert plain.item() == pytest.approx(categorical_cross_entropy(probabilities, targets).item())


@pytest.mark.parametrize("name", sorted(PROBABILITY_LOSSES))
def test_slopes_are_right_and_certainty_is_finite(name: str) -> None:
    logits, _, targets = drawn(3)
    loss = PROBABILITY_LOSSES[name]
    assert torch.autograd.gradcheck(lambda p: loss(p, targets), logits.softmax(1).requires_grad_())
    wrong = torch.tensor([[1.0, 0.0], [1.0, 0.0]], requires_grad=True)
    value = loss(wrong, torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    value.backward()  # type: ignore[no-untyped-call]
    assert value.isfinite()
    assert wrong.grad is not None
    assert wrong.grad.isfinite().all()
