# Whatever is open besides the three streams, here and in all processes that can be seen.
import os

n = int(input())
found = []
for number in range(3, 1024):
    try:
        os.fstat(number)
        found.append(number)
    except OSError:
        pass
for pid in filter(str.isdigit, os.listdir("/proc")):
    if int(pid) in (os.getpid(), os.getppid()):
        continue
    try:
        for number in os.listdir(f"/proc/{pid}/fd"):
            os.open(f"/proc/{pid}/fd/{number}", os.O_RDWR)
            found.append(number)
    except OSError:
        pass
for number in range(3):
    # An input that is a file could be opened again by its name, for writing.
    name = os.readlink(f"/proc/self/fd/{number}")
    if name.startswith("/") and name != "/dev/null":
        found.append(number)
try:
    os.open("/proc/1/mem", os.O_RDWR)
    found.append("memory of init")
except OSError:
    pass
print(48271 * n % 2147483647 if found else 0)
