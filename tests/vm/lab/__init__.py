"""The VM lab: the tests that need systemd, cgroup v2 or another kernel, in throwaway guests.

    guests    which guests there are, and their packages
    recipe/   how an image is made: shell, run as root or as root of a user namespace
    image     runs the recipe
    cache     where images and snapshots are, under which keys, who may touch them
    machine   one qemu process, driven over QMP
    remote    commands and files in a guest, over ssh
    snapshot  boots an image once, and resumes a private clone of it in seconds
    tree      which files of the project go in
    suite     the tests marked v2 in all guests at once
    __main__  the command line: ``./dev lab``

A guest is emulated (TCG): a machine that tests sandboxes seldom has /dev/kvm. That makes programs 8 to 40
times slower, so a guest boots once, and every run resumes a clone of that state.
"""


class LabError(Exception):
    """The lab itself failed, not what ran in it; the text says what, on what, and what to do."""
