"""cffi builder of ``sandbox.native._core``: the few system calls that Python has no word for.

``plan.h`` and ``keep.h`` go in unchanged, so that every struct and number is written once.
"""

import os

from cffi import FFI

HERE = os.path.dirname(os.path.abspath(__file__))

SOURCES = ("core.c", "core_keeper.c", "keep_wire.c")


def header(name: str) -> str:
    with open(os.path.join(HERE, name), encoding="ascii") as file:
        return file.read()


ffibuilder = FFI()
ffibuilder.cdef(
    header("plan.h")
    + header("keep.h")
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
int core_listener(void);
int64_t core_nofile(void);
int core_winsize(int from, int to);
int core_keeper_connect(const char *path, int timeout_ms, struct pysb_keep_hello *hello);
int core_keeper_inherit(struct pysb_keep_want *want);
int core_keeper_ask(int keeper, const struct pysb_keep_want *want, int control, struct pysb_keep_answer *answer,
                    int *pidfd);
"""
)
ffibuilder.set_source(
    "sandbox.native._core",
    '#include "core.h"',
    sources=[os.path.relpath(os.path.join(HERE, name), os.getcwd()) for name in SOURCES],
    include_dirs=[HERE],
    extra_compile_args=["-std=gnu11", "-Wall", "-Wextra"],
    depends=[os.path.join(HERE, n) for n in ("core.h", "keep.h", "keeper.h", "plan.h", "sys.h")],
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
