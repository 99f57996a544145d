# Without a guess, but with a child that keeps the pipes.
import os
import time

if os.fork() == 0:
    os.setsid()
    time.sleep(1000)
