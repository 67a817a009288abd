"""Torch modules and nothing else: no files, no images, no training."""
