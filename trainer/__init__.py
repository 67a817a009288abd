"""Training and studies: datasets in, bundles out. The command is `reid-trainer`."""
