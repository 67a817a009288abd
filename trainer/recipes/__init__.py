"""Complete, named, frozen recipes: everything a run depends on besides its data."""
