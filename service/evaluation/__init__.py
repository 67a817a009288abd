"""How well the live gallery tells its own people apart, and what its scores mean there."""
