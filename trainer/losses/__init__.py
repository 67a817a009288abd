"""What training minimises: pure functions, scalars out."""
