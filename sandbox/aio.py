"""Drive a run from asyncio: its epoll object is one fd for the loop to watch, so no thread waits."""

from __future__ import annotations

import asyncio

from .result import INTERRUPTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .result import Result
    from .running import Running


async def wait(running: Running) -> Result:
    """The Result. If the task is cancelled the run is killed, and waited for, before that is passed on."""
    watch = running.supervision
    cancelled = False
    while not watch.done:
        try:
            await _ready(watch.fileno(), watch.timeout())
        except asyncio.CancelledError:
            cancelled = True
            watch.kill(INTERRUPTED, "the task was cancelled")
        watch.step(0)
    if cancelled:
        raise asyncio.CancelledError
    return running.result()


async def _ready(fd: int, timeout: float | None) -> None:
    """Until the fd is readable, or ``timeout`` seconds have passed."""
    loop = asyncio.get_running_loop()
    woken: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not woken.done():
            woken.set_result(None)

    loop.add_reader(fd, wake)
    timer = loop.call_later(timeout, wake) if timeout is not None else None
    try:
        await woken
    finally:
        loop.remove_reader(fd)
        if timer is not None:
            timer.cancel()
