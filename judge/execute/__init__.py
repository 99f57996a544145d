"""Execution: one test of a problem with one submission -> Evidence.

limits: options of the sandbox. job: what is to be run. batch, interactive: one run. answer: a submission that is the
answer itself. multipass: one run after the other. testing: the one entry that chooses among them.
"""

from .job import Job
from .testing import run_test

__all__ = ["Job", "run_test"]
