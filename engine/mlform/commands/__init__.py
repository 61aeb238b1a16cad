"""Each command as a walk through the rooms, on one page."""
