"""What setup.cfg cannot say: the cffi extension and the native executable.

``cffi_modules`` is ignored, without a word, when it stands in setup.cfg. Everything else is there.
"""

from __future__ import annotations

import os
import sys

from setuptools import setup
from setuptools.command.build_ext import build_ext

HERE = os.path.dirname(os.path.abspath(__file__))
# PEP 517 front ends do not put the project on the path of its own setup.py.
sys.path.insert(0, os.path.join(HERE, "scripts"))

import native  # noqa: E402


class BuildExt(build_ext):
    """Builds the extension, then the static executable next to it.

    build_ext and not a command of its own: it is the one command that ``pip install``, an editable
    install, ``build_ext --inplace`` and a wheel all run, and the one that makes a wheel bear a platform.
    """

    def run(self) -> None:
        super().run()
        native.build(self._target())

    def get_outputs(self) -> list[str]:
        return [*super().get_outputs(), *([] if self.inplace else [self._target()])]

    def get_output_mapping(self) -> dict[str, str]:
        built = {os.path.join(self.build_lib, native.TARGET): self._target()} if self.inplace else {}
        return {**super().get_output_mapping(), **built}

    def _target(self) -> str:
        return os.path.join(HERE if self.inplace else self.build_lib, native.TARGET)


# cffi resolves the path of the builder against the current directory.
os.chdir(HERE)
setup(cffi_modules=["sandbox/native/build_core.py:ffibuilder", "judge/native/build_compare.py:ffibuilder"],
      cmdclass={"build_ext": BuildExt})
