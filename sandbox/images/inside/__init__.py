"""What runs INSIDE a helper sandbox, by the host's ``/usr/bin/python3``, on what strangers made (``images/helper.py``).

Standard library only, Python 3.11, no import from ``sandbox``: this directory is all of the project that is there. A
script has ``main(words) -> dict``; ``start.run`` prints that as one line of JSON on stderr. Nothing said here is
trusted outside.
"""
