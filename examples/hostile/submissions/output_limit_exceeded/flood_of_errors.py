import sys

while True:
    sys.stderr.write("this is output as well\n" * 1000)
