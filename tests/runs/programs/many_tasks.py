"""200 asyncio tasks at once, each with an output of its own; prints what was mixed up."""

import asyncio

from sandbox import arun


async def one(number: int) -> str:
    result = await arun(
        ["sh", "-c", f"read line; echo $line {number}; echo {number} >&2"], stdin=f"task {number}\n".encode()
    )
    expected = f"task {number} {number}\n".encode()
    return (
        ""
        if (result.stdout, result.stderr, result.outcome) == (expected, f"{number}\n".encode(), "ok")
        else repr(result)
    )


async def main() -> None:
    asyncio.get_running_loop().slow_callback_duration = 60  # how slow a machine is, is not what this is about
    wrong = [text for text in await asyncio.gather(*(one(number) for number in range(200))) if text]
    print(len(wrong), *wrong[:3], sep="\n")


asyncio.run(main())
