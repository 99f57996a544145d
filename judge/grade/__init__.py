"""All tests of a submission: in which order, how many at once, what they are worth together, and what is kept."""
