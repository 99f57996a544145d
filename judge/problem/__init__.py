"""Problem packages: every format is read into one form, ``model.Problem``."""
