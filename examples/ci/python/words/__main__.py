import sys

from . import count_words

print(count_words(sys.stdin.read()))
