"""What a person or another program sees of a judging: the terminal, JSON, JUnit, HTML."""
