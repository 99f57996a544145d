"""The comparison of two files, in C: everything about a byte happens here, everything about a file in judge.check."""
