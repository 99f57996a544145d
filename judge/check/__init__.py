"""One output, one opinion."""
