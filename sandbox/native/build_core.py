"""cffi builder of ``sandbox.native._core``: the few system calls that Python has no word for.

``plan.h`` goes in unchanged, so that every struct and number is written once.
"""

import os

from cffi import FFI

HERE = os.path.dirname(os.path.abspath(__file__))

with open(os.path.join(HERE, "plan.h"), encoding="ascii") as header:
    PLAN_H = header.read()

ffibuilder = FFI()
ffibuilder.cdef(
    PLAN_H
    + """
int core_pair(int *two);
int core_send(int socket, const struct pysb_request *request, const int *fds, int count);
int core_receive(int socket, void *buffer, size_t size, int *fd);
int core_receive_fds(int socket, void *buffer, size_t size, int *fds, int *count);
int core_hello(int socket, void *buffer, size_t size);
int core_send_bytes(int socket, const void *bytes, size_t size);
int core_signal(int pidfd, int number);
int core_pidfd(int pid);
int core_open_tree(const char *path, int recursive);
int core_winsize(int from, int to);
"""
)
ffibuilder.set_source(
    "sandbox.native._core",
    '#include "core.h"',
    sources=[os.path.relpath(os.path.join(HERE, "core.c"), os.getcwd())],
    include_dirs=[HERE],
    extra_compile_args=["-std=gnu11", "-Wall", "-Wextra"],
    depends=[os.path.join(HERE, n) for n in ("core.h", "plan.h", "sys.h")],
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
