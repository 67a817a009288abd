"""A run from data to bundle, a module for each kind of model."""
