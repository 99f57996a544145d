import ctypes
import os
import time

print(271828182, flush=True)
if os.fork() == 0:
    os.setsid()
    ctypes.CDLL(None).prctl(15, b"hostile-holder")
    time.sleep(1000)
