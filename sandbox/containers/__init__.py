"""Containers: sandboxes with a name, that can be entered, watched, stopped and kept."""
