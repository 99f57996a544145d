import ctypes

ctypes.CDLL(None).mount(b"none", b"/work", b"tmpfs", 0, None)
print("survived")
