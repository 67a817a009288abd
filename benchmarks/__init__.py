"""Side-by-side runs against what a user would pick instead; speed is judged here and never in the tests."""
