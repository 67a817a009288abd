"""A network run by OpenVINO, which does a crop on a processor in a third of torch's time (docs/results)."""

import logging
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from reid.precision import MIN_AGREEMENT, Network, Precision, Preprocess, cosine, probe_images

if TYPE_CHECKING:
    import openvino

_LOG = logging.getLogger(__name__)
_HINTS = {Precision.FP32: "f32", Precision.BF16: "bf16"}


def kept_form(cache: Path | None, bundle_id: str) -> Path | None:
    """Where in a folder a bundle's form for OpenVINO is kept, if there is a folder."""
    return cache / f"{bundle_id}.xml" if cache else None


class OpenVinoNetwork:
    """(B, 3, H, W) float32, normalised → float32 as the network it was made of. Safe to call from any thread.

    Its form for OpenVINO is read from the file `kept` (.xml, its .bin beside it), where that is there and agrees; else
    it is converted, which takes 3 s of a processor, and kept there. Raises ``ValueError`` where its answers to probe
    images, or what `judged` makes of both, are not within cosine 0.999 of the network's own in float32.
    """

    def __init__(
        self,
        network: nn.Module,
        preprocess: Preprocess,
        precision: Precision,
        kept: Path | None = None,
        judged: Network = torch.Tensor.float,
    ) -> None:
        self._network, self._precision, self._judged = network, precision, judged
        self._probes = probe_images(preprocess, torch.device("cpu"))
        self._own = threading.local()  # a request of OpenVINO's is one thread's
        if kept is None or not self._takes_up(kept):
            model = self._converted()
            agreed = self._compile(model)
            if agreed < MIN_AGREEMENT:
                raise ValueError(f"expected OpenVINO to agree with the bundle to {MIN_AGREEMENT}, got {agreed:.6f}")
            if kept is not None:
                _keep(model, kept)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """A batch of any size."""
        if not hasattr(self._own, "request"):
            self._own.request = self._compiled.create_infer_request()
        return torch.from_numpy(self._own.request.infer([images.contiguous().numpy()], share_inputs=True)[0])

    def _takes_up(self, kept: Path) -> bool:
        """Whether a model lay there that says what the network says: a torn file, or another release's, does not."""
        if not kept.exists():
            return False
        try:
            agreed = self._compile(kept)
        except RuntimeError as error:
            _LOG.warning("%s cannot be read and is made anew: %s", kept, error)
            return False
        if agreed < MIN_AGREEMENT:
            _LOG.warning("%s agrees with its bundle to %.6f only and is made anew", kept, agreed)
        return agreed >= MIN_AGREEMENT

    def _compile(self, model: "openvino.Model | Path") -> float:
        """Make ready to answer; returns the least cosine of the answers to the probes."""
        import openvino

        set_by = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": _HINTS[self._precision]}
        self._compiled = openvino.Core().compile_model(model, "CPU", set_by)
        self._own = threading.local()
        with torch.inference_mode():
            own, found = (self._judged(network(self._probes)) for network in (self._network, self))
            return cosine(own, found)

    def _converted(self) -> "openvino.Model":
        import openvino

        with torch.inference_mode():
            batch = ({0: torch.export.Dim("batch")},)
            program = torch.export.export(self._network, (self._probes,), dynamic_shapes=batch)
        return openvino.convert_model(program)


def _keep(model: "openvino.Model", file: Path) -> None:
    """Write the model for the next time; the .xml, which is what is looked for, comes last.

    Nothing depends on it: a disk that is full or read-only costs the next start its 3 s, and says so.
    """
    import openvino

    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent) as temporary:
            draft = Path(temporary) / file.name
            openvino.save_model(model, draft, compress_to_fp16=False)
            draft.with_suffix(".bin").replace(file.with_suffix(".bin"))
            draft.replace(file)
    except (OSError, RuntimeError) as error:
        _LOG.warning("OpenVINO's form of the network could not be kept at %s: %s", file, error)
