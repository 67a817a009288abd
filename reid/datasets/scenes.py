"""Where drawn people walk: a place, and the camera that watches it."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from reid.datasets.figures import FACINGS, Pose


class Scene:
    """The place one camera watches, the way people mostly walk there, and its colours, blur and noise."""

    def __init__(self, rng: np.random.Generator, size_hw: tuple[int, int]) -> None:
        self._height, self._width = size_hw
        self._place = _place(rng, self._width * 4, self._height)
        self._gains = rng.uniform(0.72, 1.15) * rng.uniform(0.88, 1.12, size=3)
        self._gamma = rng.uniform(0.85, 1.25)
        self._blur_px = rng.uniform(0.2, 0.8) * self._height / 128
        self._noise = rng.uniform(2, 6)
        self._facing = int(rng.integers(len(FACINGS)))

    def pose(self, rng: np.random.Generator) -> Pose:
        """Mostly the camera's own direction; any step, and a box that is never quite right."""
        facing = self._facing if rng.random() < 0.55 else int(rng.integers(len(FACINGS)))
        shift = (float(rng.normal(0, 0.035)), float(rng.normal(0, 0.012)))
        return Pose(FACINGS[facing], float(rng.uniform(0, 2 * np.pi)), shift, float(rng.uniform(0.92, 1.03)))

    def background(self, rng: np.random.Generator) -> Image.Image:
        """A part of the place, as wide as a crop."""
        left = int(rng.integers(self._place.width - self._width + 1))
        return self._place.crop((left, 0, left + self._width, self._height))

    def develop(self, picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        """The picture as this camera sees it: blurred, tinted, brighter or darker, noisy."""
        blurred = picture.filter(ImageFilter.GaussianBlur(self._blur_px))
        values = np.asarray(blurred, dtype=np.float32) / 255
        light = self._gains * rng.uniform(0.9, 1.1)
        values = 255 * (values * light.astype(np.float32)) ** np.float32(self._gamma)
        values += rng.standard_normal(values.shape, dtype=np.float32) * np.float32(self._noise)
        return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def _place(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """A wall or hedge above a floor, with a few things that stand there."""
    wall = rng.integers(100, 205) + rng.integers(-24, 24, size=3)
    floor = rng.integers(85, 190) + rng.integers(-14, 14, size=3)
    horizon = int(height * rng.uniform(0.3, 0.7))
    image = Image.new("RGB", (width, height), tuple(wall.tolist()))
    draw = ImageDraw.Draw(image)
    for _ in range(10):
        left, top = int(rng.integers(width)), int(rng.integers(-height // 4, horizon))
        right = left + int(rng.integers(width // 40 + 2, width // 8 + 3))
        thing = (wall * rng.uniform(0.55, 1.15) + rng.integers(-12, 12, size=3)).clip(0, 255).astype(int)
        draw.rectangle((left, top, right, horizon), fill=tuple(thing.tolist()))
    draw.rectangle((0, horizon, width, height), fill=tuple(floor.tolist()))
    seam = tuple((floor * 0.86).astype(int).tolist())
    for step in range(1, 6):
        y = horizon + (height - horizon) * step**2 // 25
        draw.line((0, y, width, y), fill=seam)
    for x in range(0, width, max(4, width // 12)):
        draw.line((x + (x - width // 2) // 3, height, x, horizon), fill=seam)
    return image.filter(ImageFilter.GaussianBlur(height / 160))
