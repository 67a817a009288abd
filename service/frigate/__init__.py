"""Next to Frigate: its people enrolled, and given one identity across cameras: `reid-service frigate`."""
