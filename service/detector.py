"""The detector, where there is one: whole frames in, where people are in them out."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from reid.detection import Detection, Detector, load_detector
from reid.images import decode_image
from reid.predictors import resolve_device
from service.admission import Admission, Ticket
from service.crops import check_pixels
from service.decoding import Decoders
from service.metrics import Metrics
from service.problems import DeadlineError, NoDetectorError
from service.settings import Settings

_WARM_UP_PX = (640, 480)


class FrameDetector:
    """What REID_DETECTOR names, on a thread of its own, a frame at a time."""

    def __init__(self, detector: Detector, decoders: Decoders, metrics: Metrics, deadline_s: float) -> None:
        self.admission = Admission(metrics, deadline_s)
        self._detector = detector
        self._decoders = decoders
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="detect")
        detector.detect(Image.new("RGB", _WARM_UP_PX))  # slow the first time

    async def people(self, images: Sequence[bytes], ticket: Ticket) -> list[list[Detection]]:
        """The people in each frame (untrusted bytes), best first. Raises ImageError or a child, DeadlineError."""
        check_pixels(images)
        try:
            async with asyncio.timeout(ticket.left_s):
                return [await self._people(image) for image in images]
        except TimeoutError as error:
            self._metrics.shed.inc()
            raise DeadlineError("expected the detector's answer in time, got none") from error

    def close(self) -> None:
        """Finish what runs."""
        self._thread.shutdown()

    async def _people(self, image: bytes) -> list[Detection]:
        frame = await self._decoders.run(decode_image, image)
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._detect, frame)

    def _detect(self, frame: Image.Image) -> list[Detection]:
        started_s = time.monotonic()
        found = self._detector.detect(frame)
        self.admission.measured(1 / max(time.monotonic() - started_s, 1e-6))
        return found


def detector_of(settings: Settings, decoders: Decoders, metrics: Metrics) -> FrameDetector | None:
    """The one that was set, ready; None where none was. Raises DetectorError, ValueError for a device that is not."""
    if settings.detector is None:
        return None
    detector = load_detector(settings.detector, device=str(resolve_device(settings.first_device)))
    return FrameDetector(detector, decoders, metrics, settings.deadline_s)


def required(detector: FrameDetector | None) -> FrameDetector:
    """`detector`; raises NoDetectorError where there is none."""
    if detector is None:
        raise NoDetectorError(
            "expected REID_DETECTOR to be set where people are to be found in whole frames, got none: send crops, or a "
            "frame with box_xyxy"
        )
    return detector
