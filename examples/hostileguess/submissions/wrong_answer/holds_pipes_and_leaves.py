# Without a guess, but with a child that keeps the pipes.
import ctypes
import os
import time

if os.fork() == 0:
    os.setsid()
    ctypes.CDLL(None).prctl(15, b"hostile-holder")
    time.sleep(1000)
