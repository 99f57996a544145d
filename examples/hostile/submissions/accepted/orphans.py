# Children that outlive their parent, each with a file of its own open.
import ctypes
import os
import time

n = int(input())
for number in range(10):
    if os.fork() == 0:
        os.setsid()
        ctypes.CDLL(None).prctl(15, b"hostile-orphan")  # PR_SET_NAME: so that a test can look for it
        with open(f"/tmp/orphan{number}", "w"):
            time.sleep(1000)
print(48271 * n % 2147483647)
