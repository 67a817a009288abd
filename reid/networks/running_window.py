"""The last frames of a stream: a head's answer at the price of one frame, however long the window."""

from collections import deque

import torch

from reid.networks.action import Head


class RunningWindow:
    """The mean that a head's logits are a function of, over the last `length` frames.

    Sums are float64: what is added and taken away again leaves nothing behind that a score would show.
    """

    def __init__(self, head: Head, length: int) -> None:
        self.head, self.length = head, length
        self._vectors: deque[torch.Tensor] = deque(maxlen=length)
        self._terms: list[deque[torch.Tensor]] = [deque() for _ in head.spans]  # those in the sums, the oldest first
        self._sums: list[torch.Tensor] | None = None

    def __len__(self) -> int:
        return len(self._vectors)

    @torch.inference_mode()
    def push(self, vector: torch.Tensor) -> torch.Tensor:
        """Take in the vector (V,) of the next frame → logits (L,) of the last frames, as of a window of just them."""
        if self._sums is None:
            self._sums = [self.head.silence(vector, span).double() for span in self.head.spans]
        if len(self) == self.length:
            self._drop_oldest(self._sums)
        self._vectors.append(vector)
        for total, kept, span in zip(self._sums, self._terms, self.head.spans, strict=True):
            if span < len(self):
                frames = torch.stack([self._vectors[place] for place in range(-1 - span, 0)])
                kept.append(self.head.terms(frames))
                total += kept[-1]
        return self.head.logits((torch.cat(self._sums) / len(self)).float()[None])[0]

    def _drop_oldest(self, sums: list[torch.Tensor]) -> None:
        """Take away the first term of each span, which is the one that looks at the oldest frame."""
        for total, kept in zip(sums, self._terms, strict=True):
            if kept:
                total -= kept.popleft()
        self._vectors.popleft()
