"""From uploaded bytes to what the gallery keeps and the model reads."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reid.errors import ImageError
from reid.images import count_pixels, crop_box, decode_image, decode_kept, encode_crop
from service.admission import Ticket
from service.batching import ModelQueue
from service.gallery.records import Crop

MOST_PIXELS = 80_000_000  # of all images of a request together: 240 MB


async def kept_crops(
    model: ModelQueue, bundle_id: str, ticket: Ticket, images: Sequence[bytes], boxes: Sequence[Sequence[float]] = ()
) -> list[Crop]:
    """Cut, encode and embed the `boxes` of one image, or without any all images whole.

    The embeddings are of the very bytes that will be kept.

    Raises ImageError or a child, BoxError, QueueFullError, DeadlineError.
    """
    ticket.begin(len(boxes) or len(images))
    jpegs, pictures = await model.decoders.run(partial(_encode_all, boxes=boxes), images)
    embeddings = (await model.compute(pictures, ticket)).astype(np.float16)
    return [
        Crop(jpeg, picture.width, picture.height, embedding, bundle_id)
        for jpeg, picture, embedding in zip(jpegs, pictures, embeddings, strict=True)
    ]


async def computed(model: ModelQueue, ticket: Ticket, images: Sequence[bytes]) -> NDArray[np.float32]:
    """All of a request's images (N ≥ 1), untrusted bytes → the model's (N, K) float32 rows.

    They are in memory together: their pixels are limited together too, before the first of them is decoded. Raises
    ImageError or a child, QueueFullError, DeadlineError.
    """
    ticket.begin(len(images))
    return await model.compute(await model.decoders.run(_decode_all, images), ticket)


def _decode_all(images: Sequence[bytes]) -> list[Image.Image]:
    check_pixels(images)
    return [decode_image(image) for image in images]


def _encode_all(images: Sequence[bytes], boxes: Sequence[Sequence[float]]) -> tuple[list[bytes], list[Image.Image]]:
    """What will be kept, and its pixels as every later reader decodes them."""
    check_pixels(images)
    jpegs = [encode_crop(crop) for image in images for crop in _cut(decode_image(image), boxes)]
    return jpegs, [decode_kept(jpeg) for jpeg in jpegs]


def check_pixels(images: Sequence[bytes]) -> None:
    """Raise ImageError where the images of one request would be too much to hold in memory together."""
    pixels = sum(count_pixels(image) for image in images)
    if pixels > MOST_PIXELS:
        raise ImageError(f"expected at most {MOST_PIXELS} pixels in one request, got {pixels}")


def _cut(image: Image.Image, boxes: Sequence[Sequence[float]]) -> list[Image.Image]:
    return [crop_box(image, box) for box in boxes] or [image]
