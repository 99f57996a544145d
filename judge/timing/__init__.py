"""Fair time: what is near a limit, and what disturbed a run."""
