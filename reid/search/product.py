"""Candidates of many queries at once: one half-precision product of all of them with all rows.

Loads torch: processes that never search for many at once do without it.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from reid.precision import multiplies_bf16
from reid.search.chunk import ROWS_ARE_MULTIPLES_OF, rounded_up
from reid.search.scan import EPSILON, Candidates, Part, longest_rows

_GATHER_BELOW = 0.3  # share of a chunk's rows: a product over the others costs more than copying these
_BFLOAT16_HALF_STEP = 2.0**-8  # relative, and twice what rounding to nearest loses


@torch.inference_mode()
def multiply(parts: Sequence[Part], queries: NDArray[np.float32], top_k: int) -> Candidates:
    """Candidates of `queries` (Q, D) float32: every row is read once for all of them.

    The bounds are those of :func:`reid.search.scan.scan`, with what rounding the queries and the scores adds.
    """
    asked = torch.from_numpy(queries)
    if multiplies_bf16(asked.device):
        asked = asked.bfloat16()
    margins = 2 * _errors(parts, queries, asked)
    best = np.full((len(queries), top_k), -np.inf, np.float32)
    found = []
    for part in parts:
        scores, offsets = _scores(part, asked)
        groups = scores.view(_group_size(len(scores), top_k), -1, len(queries))
        highest = groups.amax(0).float().numpy().T  # (Q, groups): a row each, so that k of them bound the k-th best
        best = np.partition(np.concatenate([best, highest], axis=1), -top_k, axis=1)[:, -top_k:]
        near = _in_groups(groups, highest, best.min(axis=1) - margins)
        found.append(Candidates(near.queries, offsets[near.positions] + part.start, near.scores))
    return Candidates.joined(found).above(best.min(axis=1) - margins)


def _errors(parts: Sequence[Part], queries: NDArray[np.float32], asked: torch.Tensor) -> NDArray[np.float32]:
    """How far a score may be from the true one, for each query (Q,)."""
    longest, rest = longest_rows(parts)
    lengths = np.linalg.norm(queries, axis=1)
    lost = np.linalg.norm(queries - asked.float().numpy(), axis=1)
    rounding = _BFLOAT16_HALF_STEP if asked.dtype is torch.bfloat16 else 0.0
    added_up = (lengths + lost) * (longest + rest) * ((queries.shape[1] + 2) * EPSILON + rounding)
    errors: NDArray[np.float32] = (lengths * rest + lost * (longest + rest) + added_up).astype(np.float32)
    return errors


def _scores(part: Part, asked: torch.Tensor) -> tuple[torch.Tensor, NDArray[np.int64]]:
    """Scores (N, Q) of a part's rows, minus infinity for those not to be looked at, and their places in the chunk."""
    if part.gathers(_GATHER_BELOW):
        offsets = np.flatnonzero(part.here)
        rows = np.zeros((rounded_up(len(offsets)), asked.shape[1]), np.uint16)
        np.take(part.chunk.high, offsets, axis=0, out=rows[: len(offsets)], mode="clip")
        hidden = np.arange(len(offsets), len(rows))
    else:
        rows = part.chunk.high[: rounded_up(len(part.here))]
        offsets = np.arange(len(rows))
        hidden = np.concatenate([np.flatnonzero(~part.here), offsets[len(part.here) :]])
    high = torch.from_numpy(rows.view(np.int16)).view(torch.bfloat16)
    scores = (high if asked.dtype is torch.bfloat16 else high.float()) @ asked.T
    if len(hidden):
        scores.index_fill_(0, torch.from_numpy(hidden), -torch.inf)
    return scores, offsets


def _group_size(rows: int, top_k: int) -> int:
    """How many rows to take the best of together: many, as long as that leaves groups enough to choose from."""
    size = ROWS_ARE_MULTIPLES_OF
    while size > 1 and rows // size < 4 * top_k:
        size //= 2
    return size


def _in_groups(groups: torch.Tensor, highest: NDArray[np.float32], floors: NDArray[np.float32]) -> Candidates:
    """The rows at or above their query's floor, looked for only in groups (size, G, Q) whose highest is."""
    queries, places = np.nonzero((highest >= floors[:, None]) & np.isfinite(highest))
    scores = groups[:, torch.from_numpy(places), torch.from_numpy(queries)].float().numpy()
    inside, which = np.nonzero((scores >= floors[queries]) & np.isfinite(scores))
    return Candidates(queries[which], inside * groups.shape[1] + places[which], scores[inside, which])
