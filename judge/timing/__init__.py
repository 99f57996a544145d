"""Fair time: what is near a limit, what disturbed a run, and limits from the jury's own submissions."""
