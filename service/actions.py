"""Actions: a clip in, what happens in it out; the frames of all clips and streams wait in one queue of their bundle."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from reid.clips import Clip, ClipLimits, Sampling
from reid.clips.preprocess import ClipPreprocess
from reid.clips.sampling import Policy
from reid.kinds import ACTION, ActionBundle
from reid.networks.action import ActionArguments
from reid.networks.running_window import RunningWindow
from reid.predictors import ActionRecognizer, ActionSpan
from reid.predictors.frame_vectors import pixels_of
from service.admission import MOST_IMAGES, Admission, Ticket
from service.batching import ModelQueue
from service.decoding import Decoders
from service.metrics import Metrics
from service.on_demand import OnDemand
from service.problems import DeadlineError
from service.settings import Settings

DEFAULT = "fights"
_LONGEST_DECODING_S = 30.0


@dataclass(frozen=True)
class Recognised:
    """A clip as it was decoded, and what happens in each of its windows."""

    clip: Clip
    spans: list[ActionSpan]


@dataclass(frozen=True)
class ActionModel:
    """A loaded bundle, the queue in front of it, what decodes its clips, and what counts those that come too late."""

    recognizer: ActionRecognizer
    queue: ModelQueue
    clip_decoders: Decoders
    metrics: Metrics

    @property
    def bundle(self) -> ActionBundle:
        """What it says of itself."""
        return self.recognizer.bundle

    async def recognise(self, clip: bytes, ticket: Ticket, *, dense: bool) -> Recognised:
        """What happens in a clip; in windows one after another if it is to be `dense`, else as the bundle samples.

        Raises ClipError or a child, QueueFullError, DeadlineError.
        """
        own = self.bundle.preprocess
        sampling = Sampling(Policy.DENSE, own.num_frames, own.rate_hz) if dense else None
        try:
            decode = partial(self.recognizer.decode, sampling=sampling)
            decoded = await self.clip_decoders.run(decode, clip, ticket.left_s)
        except TimeoutError as error:
            raise self._too_late("expected a turn to decode the clip in time, got none") from error
        if ticket.left_s <= 0:
            raise self._too_late("expected a clip that decodes in time, got one that took longer")
        ticket.begin(len(decoded.frames))
        vectors = await self.queue.rows(self.clip_decoders.run(pixels_of, decoded), ticket)
        return Recognised(decoded, self.recognizer.spans_of(decoded, torch.from_numpy(vectors)))

    def _too_late(self, why: str) -> DeadlineError:
        self.metrics.shed.inc()
        return DeadlineError(why)

    def running(self) -> RunningWindow:
        """An empty window for a stream of frames."""
        return RunningWindow(self.recognizer.head, self.bundle.preprocess.num_frames)


class Actions(OnDemand[ActionModel, ActionArguments, ClipPreprocess]):
    """The action bundles on disk. Their frames are admitted together, before it is known which bundle is meant.

    Clips are decoded on threads of their own: one that takes its time must not hold up images.
    """

    def __init__(self, settings: Settings, decoders: Decoders, metrics: Metrics) -> None:
        super().__init__(ACTION, "an action bundle", settings, decoders, metrics)
        self.admission = Admission(metrics, settings.deadline_s)
        self._clip_decoders = Decoders()
        self._limits = ClipLimits(
            max_sampled_frames=MOST_IMAGES, max_seconds=min(settings.deadline_s, _LONGEST_DECODING_S)
        )

    def close(self) -> None:
        """Finish what waits, and end the spare decoders."""
        self._clip_decoders.close()
        super().close()
        for model in self._loaded.values():
            model.recognizer.close()

    def _open(self, folder: Path) -> ActionModel:
        recognizer = ActionRecognizer.load(folder, self._settings.first_device, self._limits, self._settings.cache)

        def see(pixels: torch.Tensor) -> NDArray[np.float32]:
            vectors: NDArray[np.float32] = recognizer.frames.of(pixels).cpu().numpy()
            return vectors

        queue = ModelQueue(
            recognizer.bundle.preprocess,
            [see],
            self._decoders,
            self._metrics,
            self._settings.deadline_s,
            self.admission,
        )
        queue.warm_up()
        return ActionModel(recognizer, queue, self._clip_decoders, self._metrics)
