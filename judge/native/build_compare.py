"""cffi builder of ``judge.native._compare``: the comparison of outputs. ``compare.h`` goes in unchanged."""

import os

from cffi import FFI

HERE = os.path.dirname(os.path.abspath(__file__))

SOURCES = ("compare.c", "stripped.c", "sum.c")

with open(os.path.join(HERE, "compare.h"), encoding="ascii") as file:
    declarations = file.read()

ffibuilder = FFI()
ffibuilder.cdef(declarations)
ffibuilder.set_source(
    "judge.native._compare",
    '#include "compare.h"',
    sources=[os.path.relpath(os.path.join(HERE, name), os.getcwd()) for name in SOURCES],
    include_dirs=[HERE],
    extra_compile_args=["-std=gnu11", "-Wall", "-Wextra", "-O2"],
    depends=[os.path.join(HERE, n) for n in ("bytes.h", "compare.h")],
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
