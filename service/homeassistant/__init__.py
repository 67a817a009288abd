"""Home Assistant: a sensor for each person with a name, whose state is the camera that saw them last."""
