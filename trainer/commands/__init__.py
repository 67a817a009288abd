"""The commands of `reid-trainer`: one file each."""
