import pytest
from words import count_words


@pytest.mark.parametrize(("text", "count"), [("", 0), (" \t\n", 0), ("one", 1), (" one  two\n", 2)])
def test_count(text: str, count: int) -> None:
    assert count_words(text) == count
