"""What the loop trains: one file per kind of model."""
