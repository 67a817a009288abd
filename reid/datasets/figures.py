"""Little drawn people: a look that stays, a pose that changes, and the picture of both."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]
Facing = Literal["front", "back", "left", "right"]

FACINGS: tuple[Facing, ...] = ("front", "back", "left", "right")

SKIN: tuple[Colour, ...] = ((244, 208, 177), (224, 172, 125), (188, 130, 84), (126, 80, 50), (84, 54, 38))
HAIR: tuple[Colour, ...] = ((28, 24, 24), (74, 48, 30), (142, 96, 46), (206, 168, 100), (150, 150, 152))
CLOTH: tuple[Colour, ...] = (
    (200, 40, 44),
    (226, 116, 30),
    (236, 196, 58),
    (60, 140, 70),
    (36, 120, 140),
    (44, 84, 180),
    (112, 70, 160),
    (222, 128, 168),
    (238, 236, 230),
    (150, 150, 150),
    (52, 52, 58),
    (120, 84, 56),
    (150, 190, 220),
    (96, 100, 56),
)
TROUSERS: tuple[Colour, ...] = (
    (40, 52, 92),
    (90, 116, 160),
    (34, 34, 38),
    (120, 116, 110),
    (178, 156, 118),
    (88, 66, 48),
    (220, 218, 210),
    (130, 40, 48),
    (70, 84, 60),
)

_SUPERSAMPLE = 3  # drawn this much larger and shrunk: ImageDraw has no anti-aliasing of its own


@dataclass(frozen=True)
class Look:
    """What makes one person recognisable on every camera."""

    skin: Colour
    hair: Colour
    hair_style: Literal["short", "long", "bun", "bald"]
    hat: Literal["none", "cap", "beanie"]
    hat_colour: Colour
    top: Colour
    second: Colour
    pattern: Literal["plain", "stripes", "blocks", "open jacket", "dots"]
    long_sleeves: bool
    lower: Literal["trousers", "shorts", "skirt"]
    lower_colour: Colour
    shoes: Colour
    bag: Literal["none", "backpack", "shoulder bag", "handbag"]
    bag_colour: Colour
    height: float  # 0.88…1: share of the tallest
    girth: float  # 0.85…1.2: width of the body against the usual


@dataclass(frozen=True)
class Pose:
    """How a person stands in one crop."""

    facing: Facing
    phase: float  # of the step, radians
    shift: Point  # of the feet, as shares of width and height
    scale: float  # against a figure that fills the crop


def random_look(rng: np.random.Generator) -> Look:
    """Draw a look; the same generator state gives the same look."""
    top, second, bag, hat = (CLOTH[i] for i in rng.choice(len(CLOTH), 4, replace=False))
    return Look(
        skin=SKIN[rng.integers(len(SKIN))],
        hair=HAIR[rng.integers(len(HAIR))],
        hair_style=("short", "long", "bun", "bald")[rng.choice(4, p=(0.45, 0.3, 0.15, 0.1))],
        hat=("none", "cap", "beanie")[rng.choice(3, p=(0.7, 0.15, 0.15))],
        hat_colour=hat,
        top=top,
        second=second,
        pattern=("plain", "stripes", "blocks", "open jacket", "dots")[rng.choice(5, p=(0.4, 0.15, 0.15, 0.2, 0.1))],
        long_sleeves=bool(rng.random() < 0.5),
        lower=("trousers", "shorts", "skirt")[rng.choice(3, p=(0.6, 0.2, 0.2))],
        lower_colour=TROUSERS[rng.integers(len(TROUSERS))],
        shoes=((30, 28, 28), (236, 236, 236), (110, 74, 46), (190, 44, 44))[rng.integers(4)],
        bag=("none", "backpack", "shoulder bag", "handbag")[rng.choice(4, p=(0.4, 0.25, 0.2, 0.15))],
        bag_colour=bag,
        height=float(rng.uniform(0.88, 1)),
        girth=float(rng.uniform(0.85, 1.2)),
    )


def draw_figure(look: Look, pose: Pose, background: Image.Image) -> Image.Image:
    """Draw one person with anti-aliased edges onto a copy of an RGB background that fills the crop."""
    width, height = background.width * _SUPERSAMPLE, background.height * _SUPERSAMPLE
    canvas = background.resize((width, height), Image.Resampling.BILINEAR)
    unit = min(height, 2.2 * width) * 0.95 * look.height * pose.scale
    feet = (width * (0.5 + pose.shift[0]), height * (0.965 + pose.shift[1]))
    _Figure(ImageDraw.Draw(canvas), look, pose, unit, feet).draw()
    return canvas.resize(background.size, Image.Resampling.BOX)


class _Figure:
    """The drawing of one look in one pose: coordinates in body heights, the origin between the feet, y up."""

    HEAD, SHOULDER, WAIST, HIP, KNEE, ANKLE = 0.925, 0.81, 0.56, 0.49, 0.27, 0.04

    def __init__(self, draw: ImageDraw.ImageDraw, look: Look, pose: Pose, unit: float, feet: Point) -> None:
        self.canvas, self.look, self.unit, self.feet = draw, look, unit, feet
        self.facing = pose.facing
        self.sideways = pose.facing in ("left", "right")
        self.ahead = -1 if pose.facing == "left" else 1  # the side that someone seen sideways walks to
        self.swing = math.sin(pose.phase)
        self.half_width = (0.078 if self.sideways else 0.108) * look.girth

    def draw(self) -> None:
        """Paint from the far side to the near one."""
        self._shadow()
        if self.look.bag == "backpack" and self.facing != "back":
            self._backpack()
        self._arm(-1)
        self._leg(-1)
        self._leg(1)
        if self.look.lower == "skirt":
            self._skirt()
        self._torso()
        self._head()
        if self.look.bag == "backpack" and self.facing == "back":
            self._backpack()
        self._arm(1)
        if self.look.bag == "shoulder bag":
            self._shoulder_bag()

    def _at(self, x: float, y: float) -> Point:
        return self.feet[0] + x * self.unit, self.feet[1] - y * self.unit

    def _polygon(self, colour: Colour, *points: Point) -> None:
        self.canvas.polygon([self._at(*point) for point in points], fill=colour)

    def _ellipse(self, colour: Colour, x: float, y: float, rx: float, ry: float) -> None:
        self.canvas.ellipse((*self._at(x - rx, y + ry), *self._at(x + rx, y - ry)), fill=colour)

    def _limb(self, colour: Colour, thickness: float, *joints: Point) -> None:
        self.canvas.line(
            [self._at(*joint) for joint in joints], fill=colour, width=max(1, round(thickness * self.unit))
        )
        for joint in joints:
            self._ellipse(colour, *joint, thickness / 2, thickness / 2)

    def _shadow(self) -> None:
        self._ellipse((70, 68, 66), 0.02, 0.0, 0.19, 0.02)

    def _leg(self, side: int) -> None:
        look, stride = self.look, self.swing * side
        if self.sideways:
            hip, knee, ankle = 0.0, self.ahead * (0.075 * stride + 0.012), self.ahead * 0.13 * stride
            lift = 0.03 * max(0.0, -stride)
        else:
            hip = side * 0.052 * look.girth
            knee, ankle, lift = hip * 1.02, hip * 0.96, 0.025 * max(0.0, stride)
        near = 1.0 if side > 0 or not self.sideways else 0.8
        skin, cloth = _shade(look.skin, near), _shade(look.lower_colour, near)
        joints = ((hip, self.HIP), (knee, self.KNEE + lift), (ankle, self.ANKLE + lift))
        if look.lower == "trousers":
            self._limb(cloth, 0.082 * look.girth, *joints[:2])
            self._limb(cloth, 0.068 * look.girth, *joints[1:])
        else:
            self._limb(skin, 0.056 * look.girth, *joints)
            if look.lower == "shorts":
                self._limb(cloth, 0.088 * look.girth, joints[0], (knee, self.KNEE + lift + 0.05))
        toe = self.ahead * 0.035 if self.sideways else 0.0
        self._ellipse(_shade(look.shoes, near), ankle + toe, 0.022 + lift, 0.058 if self.sideways else 0.036, 0.024)

    def _skirt(self) -> None:
        waist, hem = self.half_width * 0.92, self.half_width * 1.35 + 0.02 * abs(self.swing)
        self._polygon(self.look.lower_colour, (-waist, self.WAIST), (waist, self.WAIST), (hem, 0.3), (-hem, 0.3))

    def _torso(self) -> None:
        look, half = self.look, self.half_width
        bottom = self.HIP - 0.01
        outline = (
            (-half * 0.55, self.SHOULDER + 0.022),
            (half * 0.55, self.SHOULDER + 0.022),
            (half, self.SHOULDER - 0.02),
            (half * 0.9, self.WAIST),
            (half * 0.96, bottom),
            (-half * 0.96, bottom),
            (-half * 0.9, self.WAIST),
            (-half, self.SHOULDER - 0.02),
        )
        self._limb(_shade(look.skin, 0.9), 0.05, (0, self.SHOULDER), (0, 0.87))
        self._polygon(look.top, *outline)
        self._pattern(half * 0.93, bottom)
        shaded = _shade(look.top, 0.86)
        self._polygon(shaded, (half * 0.62, 0.8), (half, 0.79), (half * 0.96, bottom), (half * 0.72, bottom))

    def _pattern(self, half: float, bottom: float) -> None:
        second = self.look.second
        if self.look.pattern == "stripes":
            for y in np.linspace(bottom + 0.03, self.SHOULDER - 0.06, 5):
                self._polygon(second, (-half, y), (half, y), (half, y + 0.026), (-half, y + 0.026))
        elif self.look.pattern == "blocks":
            self._polygon(second, (-half, bottom), (half, bottom), (half, 0.64), (-half, 0.64))
        elif self.look.pattern == "dots":
            for row, y in enumerate(np.linspace(bottom + 0.04, self.SHOULDER - 0.05, 5)):
                for x in (-0.62, 0.0, 0.62) if row % 2 else (-0.3, 0.3):
                    self._ellipse(second, half * x, y, 0.016, 0.016)
        elif self.look.pattern == "open jacket" and self.facing != "back":
            middle = self.ahead * half * 0.55 if self.sideways else 0.0
            self._polygon(
                second,
                (middle - 0.02, self.SHOULDER + 0.01),
                (middle + 0.02, self.SHOULDER + 0.01),
                (middle + 0.035, bottom),
                (middle - 0.035, bottom),
            )

    def _arm(self, side: int) -> None:
        look, stride = self.look, -self.swing * side
        if self.sideways:
            shoulder, elbow, hand = 0.0, self.ahead * 0.05 * stride, self.ahead * (0.11 * stride + 0.02)
        else:
            shoulder = side * (self.half_width - 0.006)
            elbow, hand = shoulder + side * 0.032, shoulder + side * (0.03 + 0.006 * stride)
        near = 0.75 if side < 0 and self.sideways else 0.93
        bend = 0.02 * stride
        joints = ((shoulder, self.SHOULDER - 0.025), (elbow, 0.64 + bend), (hand, 0.5 + bend * 1.6))
        self._limb(_shade(look.skin, near), 0.042 * look.girth, *joints)
        wrist = (hand, 0.525 + bend * 1.6)
        covered = (*joints[:2], wrist) if look.long_sleeves else (joints[0], (elbow, 0.69 + bend))
        self._limb(_shade(look.top, near * 0.95), 0.056 * look.girth, *covered)
        if look.bag == "handbag" and side > 0:
            x, y = joints[2]
            self._polygon(
                look.bag_colour,
                (x - 0.045, y - 0.03),
                (x + 0.045, y - 0.03),
                (x + 0.055, y - 0.13),
                (x - 0.055, y - 0.13),
            )

    def _head(self) -> None:
        look, y = self.look, self.HEAD
        behind = -self.ahead * 0.02 if self.sideways else 0.0
        if look.hair_style == "bun":
            self._ellipse(look.hair, behind * 2, y + 0.062, 0.028, 0.026)
        self._ellipse(look.skin, 0, y, 0.05, 0.064)
        if look.hair_style != "bald":
            self._hair(y, behind)
        if self.facing != "back":
            for x in (self.ahead * 0.026,) if self.sideways else (-0.018, 0.018):
                self._ellipse((30, 26, 26), x, y - 0.004, 0.0065, 0.008)
        if look.hat != "none":
            self._hat(y)

    def _hair(self, y: float, behind: float) -> None:
        hair, falls = self.look.hair, self.look.hair_style == "long"
        if self.facing == "back":
            self._ellipse(hair, 0, y + 0.01, 0.054, 0.06)
            if falls:
                self._polygon(hair, (-0.053, y), (0.053, y), (0.048, 0.79), (-0.048, 0.79))
            return
        crown = (*self._at(-0.055, y + 0.074), *self._at(0.055, y - 0.034))
        self.canvas.pieslice(crown, 180, 360, fill=hair)
        if self.sideways:
            self._ellipse(hair, behind * 1.4, y + 0.012, 0.032, 0.05)
        if falls:
            for x in (behind * 1.7,) if self.sideways else (-0.046, 0.046):
                self._limb(hair, 0.04 if self.sideways else 0.022, (x, y + 0.02), (x, 0.82))

    def _hat(self, y: float) -> None:
        colour = self.look.hat_colour
        box = (*self._at(-0.058, y + 0.088), *self._at(0.058, y - 0.03))
        self.canvas.pieslice(box, 180, 360, fill=colour)
        if self.look.hat == "cap" and self.facing != "back":
            x = self.ahead * 0.05 if self.sideways else 0.0
            self._ellipse(_shade(colour, 0.8), x, y + 0.027, 0.05, 0.013)
        elif self.look.hat == "beanie":
            band = _shade(colour, 0.8)
            self._polygon(band, (-0.056, y + 0.025), (0.056, y + 0.025), (0.054, y + 0.045), (-0.054, y + 0.045))

    def _backpack(self) -> None:
        colour = self.look.bag_colour
        if self.sideways:
            x = -self.ahead * (self.half_width + 0.022)
            self._limb(colour, 0.085, (x, 0.76), (x, 0.61))
        elif self.facing == "back":
            self._limb(colour, 0.13, (0, 0.74), (0, 0.61))
            self._limb(_shade(colour, 0.75), 0.07, (-0.02, 0.61), (0.02, 0.61))
        else:
            for side in (-1, 1):
                self._limb(colour, 0.05, (side * self.half_width, 0.76), (side * self.half_width, 0.62))

    def _shoulder_bag(self) -> None:
        colour, half = self.look.bag_colour, self.half_width
        strap = _shade(colour, 0.75)
        self._limb(strap, 0.016, (-half * 0.6, self.SHOULDER), (half * 0.95, 0.56))
        self._limb(colour, 0.075, (half * 0.98, 0.54), (half * 1.08, 0.5))


def _shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = (round(min(255, channel * factor)) for channel in colour)
    return red, green, blue
