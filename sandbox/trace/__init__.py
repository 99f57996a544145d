"""What a program does, and the smallest policy that lets it: ``pysandbox trace``.

    tracer.py      answers every call as the policy of the run would, and takes notes
    facts.py       the notes: calls, arguments that matter, files, sockets
    places.py      the files and addresses that a call names
    presence.py    whether a file is there
    conditions.py  which arguments decide what a call is
    learn.py       notes -> what a policy has to say
    write.py       that as a new policy file, or added to one
    report.py      the notes for people, and as data
"""

from __future__ import annotations
