"""An embedding network run by OpenVINO, which does a crop on a processor in a third of torch's time (docs/results)."""

import threading

import torch

from reid.networks.embedding import EmbeddingNetwork
from reid.precision import MIN_AGREEMENT, Precision, Preprocess, agreement, probe_images

_HINTS = {Precision.FP32: "f32", Precision.BF16: "bf16"}


class OpenVinoNetwork:
    """(B, 3, H, W) float32, normalised → (B, D) float32, as the network it was made of. Safe to call from any thread.

    Raises ``ValueError`` where its answers to probe images are not within cosine 0.999 of that network's in float32.
    """

    def __init__(self, network: EmbeddingNetwork, preprocess: Preprocess, precision: Precision) -> None:
        import openvino

        images = probe_images(preprocess, torch.device("cpu"))
        with torch.inference_mode():
            program = torch.export.export(network, (images,), dynamic_shapes=({0: torch.export.Dim("batch")},))
        model = openvino.convert_model(program)
        set_by = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": _HINTS[precision]}
        self._compiled = openvino.Core().compile_model(model, "CPU", set_by)
        self._own = threading.local()  # a request of OpenVINO's is one thread's
        with torch.inference_mode():
            agreed = agreement(network, self, images)
        if agreed < MIN_AGREEMENT:
            raise ValueError(f"expected OpenVINO to agree with the bundle to {MIN_AGREEMENT}, got {agreed:.6f}")

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Embed a batch of any size."""
        if not hasattr(self._own, "request"):
            self._own.request = self._compiled.create_infer_request()
        return torch.from_numpy(self._own.request.infer([images.contiguous().numpy()], share_inputs=True)[0])
