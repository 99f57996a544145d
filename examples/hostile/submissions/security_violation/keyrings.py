import ctypes
import platform

ctypes.CDLL(None).syscall({"x86_64": 248, "aarch64": 217}[platform.machine()], b"user", b"name", b"secret", 6, -3)
print("survived")
