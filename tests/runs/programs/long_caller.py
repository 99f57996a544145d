"""A caller that is to be killed: ARGS are limits as NAME=VALUE; says "up" when its program runs."""

import sys

from sandbox import Sandbox

options = dict(word.split("=", 1) for word in sys.argv[1:])
with Sandbox(**options) as box:
    text = "(setsid sleep 3600 &); setsid sleep 3600 & echo up; sleep 3600"
    running = box.start(["sh", "-c", text], stdout=1)
    running.wait()
