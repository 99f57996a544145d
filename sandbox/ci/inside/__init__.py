"""Scripts that run in a helper sandbox, by the host's python3 without site packages (ci/files.py)."""
