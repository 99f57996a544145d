"""Limits from the jury's own submissions, measured, and written into the package."""
