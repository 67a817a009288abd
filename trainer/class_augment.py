"""Random changes to a batch of images, each image its own: the hand-sign and sunglasses papers' nine."""

import math

import torch
import torch.nn.functional as F

from trainer.recipes.classifiers import ClassifierRecipe


def augment_images(pixels: torch.Tensor, recipe: ClassifierRecipe, generator: torch.Generator) -> torch.Tensor:
    """(B, C, H, W) uint8 → float32 of the same shape, in [0, 255].

    Flip, rotation, scale, translation and crop are one bilinear look-up, borders repeated; then sharpness, contrast,
    colour and noise. With every strength 0 the values are the pixels' own.
    """
    images = pixels.float()
    if recipe.flip or recipe.rotation or recipe.scale or recipe.translation or recipe.crop:
        images = _moved(images, recipe, generator)
    if recipe.sharpness:
        blurred = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        images = blurred + _about_one(recipe.sharpness, (len(images), 1, 1, 1), generator) * (images - blurred)
    if recipe.contrast:
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        images = mean + _about_one(recipe.contrast, (len(images), 1, 1, 1), generator) * (images - mean)
    if recipe.colour:
        images = images * _about_one(recipe.colour, (*images.shape[:2], 1, 1), generator)
    if recipe.noise:
        images = images + 255 * recipe.noise * torch.randn(images.shape, generator=generator)
    return images.clamp(0, 255)


def _moved(images: torch.Tensor, recipe: ClassifierRecipe, generator: torch.Generator) -> torch.Tensor:
    batch, _, height, width = images.shape
    angle = math.radians(recipe.rotation) * _signed(batch, generator)
    zoom = _about_one(recipe.scale, (batch,), generator)
    kept = 1 - recipe.crop * torch.rand(batch, generator=generator)  # of each side
    mirrored = 1 - 2 * (torch.rand(batch, generator=generator) < recipe.flip).float()
    shift_x, shift_y = (
        2 * recipe.translation * _signed(batch, generator) + (1 - kept) * _signed(batch, generator) for _ in range(2)
    )
    # The look-up maps where a pixel goes to where it comes from, in [-1, 1]²: turns need the sides' true ratio.
    reach = kept / zoom
    cosine, sine = torch.cos(angle) * reach, torch.sin(angle) * reach
    rows = [
        torch.stack([cosine * mirrored, -sine * height / width, shift_x], dim=1),
        torch.stack([sine * mirrored * width / height, cosine, shift_y], dim=1),
    ]
    grid = F.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _signed(batch: int, generator: torch.Generator) -> torch.Tensor:
    """(B,) uniform in [-1, 1]."""
    return 2 * torch.rand(batch, generator=generator) - 1


def _about_one(strength: float, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    return 1 + strength * (2 * torch.rand(shape, generator=generator) - 1)
