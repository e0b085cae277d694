"""Answers each request with what it says, and does nothing else: `python -m benchmarks.echo URL`.

What the bus and a Python process at the other end of it could do at best.
"""

import asyncio
import sys

import nats
from nats.aio.msg import Msg

SUBJECT = "load.echo"


async def answer(url: str, token: str) -> None:
    """Echo until the process is ended; says `ready` when it listens."""
    connection = await nats.connect(url, token=token)

    async def echo(message: Msg) -> None:
        await connection.publish(message.reply, message.data)

    await connection.subscribe(SUBJECT, cb=echo)
    await connection.flush()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(answer(sys.argv[1], sys.argv[2]))
