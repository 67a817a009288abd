"""People in whole frames: boxes, and which boxes are one person's."""

from reid.detection.boxes import Detection
from reid.detection.detectors import Detector, load_detector
from reid.detection.tracker import IouTracker, Tracked

__all__ = ["Detection", "Detector", "IouTracker", "Tracked", "load_detector"]
