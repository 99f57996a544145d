import os
import time

print(271828182, flush=True)
if os.fork() == 0:
    os.setsid()
    time.sleep(1000)
