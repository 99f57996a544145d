"""How many runs of this process may be under way at once: as many as its limit of open files allows.

A run holds up to a dozen fds of the caller's (pipes, sockets, files of its cgroup). With the usual soft
limit of 1024, 200 tasks at once would end in EMFILE; so ``run`` and ``arun`` wait for a free slot. The
count is an eventfd semaphore, on which threads can block; tasks queue up for it.
"""

from __future__ import annotations

import _thread  # what threading.Lock is, without the module
import os
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from collections.abc import Callable

FDS_OF_A_RUN = 16
FDS_OF_THE_CALLER = 64
# The spawner keeps a table of 1024 inits, those that are on their way out among them.
MOST = 512

_lock = _thread.allocate_lock()
_slots = -1
_owner = 0
_waiting: list[Callable[[], None]] = []  # list.append and list.pop are atomic


def _semaphore() -> int:
    """The eventfd; a child of ``os.fork()`` gets one of its own."""
    if _owner != os.getpid():
        _make_semaphore()
    return _slots


def _make_semaphore() -> None:
    global _slots, _owner
    with _lock:  # two first runs at once must not count on two semaphores
        if _owner == os.getpid():
            return
        _waiting.clear()
        count = (os.sysconf("SC_OPEN_MAX") - FDS_OF_THE_CALLER) // FDS_OF_A_RUN
        count = max(1, min(count, MOST))
        _slots = os.eventfd(count, os.EFD_CLOEXEC | os.EFD_NONBLOCK | os.EFD_SEMAPHORE)
        _owner = os.getpid()


def _taken(semaphore: int) -> bool:
    try:
        os.eventfd_read(semaphore)
    except BlockingIOError:
        return False
    return True


def take() -> None:
    """Wait for a slot, in this thread."""
    semaphore = _semaphore()
    while not _taken(semaphore):
        waiting = select.poll()
        waiting.register(semaphore, select.POLLIN)
        waiting.poll()


async def take_async() -> None:
    """Wait for a slot, in a task: in the order of asking, and without an fd for each that waits."""
    import asyncio

    loop = asyncio.get_running_loop()
    while not _taken(_semaphore()):
        turn = loop.create_future()
        wake = _waker(loop, turn)
        _waiting.append(wake)
        if _taken(_semaphore()):  # given back between the two lines above, when nobody waited yet
            _forget(wake)
            return
        try:
            await turn
        except asyncio.CancelledError:
            if not _forget(wake):
                _wake_one()  # our turn had come: it is the next one's
            raise


def _waker(loop: AbstractEventLoop, turn: Future[None]) -> Callable[[], None]:
    def done() -> None:
        if not turn.done():
            turn.set_result(None)

    def wake() -> None:
        loop.call_soon_threadsafe(done)

    return wake


def _forget(wake: Callable[[], None]) -> bool:
    try:
        _waiting.remove(wake)
    except ValueError:
        return False
    return True


def _wake_one() -> None:
    while _waiting:
        try:
            return _waiting.pop(0)()
        except (IndexError, RuntimeError):  # another thread was quicker; its event loop is closed
            continue


def give() -> None:
    """The run is over."""
    os.eventfd_write(_semaphore(), 1)
    _wake_one()


def _after_fork() -> None:
    """The parent's lock may be held by a thread that does not exist here."""
    global _lock
    _lock = _thread.allocate_lock()


os.register_at_fork(after_in_child=_after_fork)
