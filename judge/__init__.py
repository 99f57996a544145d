"""The judge: submissions in, verdicts out that can be defended. On the public names of ``sandbox`` alone.

errors, facts, verdict, result: data. problem, language: what is given. build, check, execute: one program, one output,
one test. grade: all tests of a submission. timing, report, cli: fair limits, and what a person sees.
"""
