"""Counting words."""


def count_words(text: str) -> int:
    """How many words, separated by white space, are in a text."""
    return len(text.split())
