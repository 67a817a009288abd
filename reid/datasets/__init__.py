"""Datasets of people: read from disk, or drawn."""
