"""From uploaded bytes to what the gallery keeps and the model reads."""

from collections.abc import Sequence

import numpy as np
from fastapi.concurrency import run_in_threadpool
from PIL import Image

from reid.errors import ImageError
from reid.images import count_pixels, crop_box, decode_image, decode_kept, encode_crop
from service.batching import ModelQueue
from service.gallery.records import Crop

MOST_PIXELS = 80_000_000  # of all images of a request together: 240 MB


async def kept_crops(model: ModelQueue, images: Sequence[bytes], box_xyxy: Sequence[float] | None) -> list[Crop]:
    """Cut, encode and embed images; the embedding is of the very bytes that will be kept.

    Raises ImageError or a child, BoxError, QueueFullError.
    """
    jpegs, pictures = await run_in_threadpool(_encode_all, images, box_xyxy)
    embeddings = (await model.embed(pictures)).astype(np.float16)
    return [
        Crop(jpeg, picture.width, picture.height, embedding, model.embedder.bundle_id)
        for jpeg, picture, embedding in zip(jpegs, pictures, embeddings, strict=True)
    ]


async def decoded(images: Sequence[bytes]) -> list[Image.Image]:
    """All of a request's images, untrusted bytes → RGB, off the event loop; raises ImageError or a child.

    They are in memory together: their pixels are limited together too, before the first of them is decoded.
    """
    return await run_in_threadpool(_decode_all, images)


def _decode_all(images: Sequence[bytes]) -> list[Image.Image]:
    _check_pixels(images)
    return [decode_image(image) for image in images]


def _encode_all(images: Sequence[bytes], box_xyxy: Sequence[float] | None) -> tuple[list[bytes], list[Image.Image]]:
    """What will be kept, and its pixels as every later reader decodes them."""
    _check_pixels(images)
    jpegs = [encode_crop(_cut(decode_image(image), box_xyxy)) for image in images]
    return jpegs, [decode_kept(jpeg) for jpeg in jpegs]


def _check_pixels(images: Sequence[bytes]) -> None:
    pixels = sum(count_pixels(image) for image in images)
    if pixels > MOST_PIXELS:
        raise ImageError(f"expected at most {MOST_PIXELS} pixels in one request, got {pixels}")


def _cut(image: Image.Image, box_xyxy: Sequence[float] | None) -> Image.Image:
    return image if box_xyxy is None else crop_box(image, box_xyxy)
