# Is right if there may be a thousand processes.
import ctypes
import os
import signal

n = int(input())
ctypes.CDLL(None).prctl(15, b"hostile-bomb")
for _ in range(1000):
    if os.fork() == 0:
        signal.pause()
print(48271 * n % 2147483647)
