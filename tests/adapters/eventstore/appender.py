"""A process that appends to a stream which others append to as well.

python -m tests.adapters.eventstore.appender FILE STREAM COUNT
"""

import sys

import anyio

from adapters.eventstore.sqlite import SqliteEventStore
from domain.errors import Conflict
from domain.ids import parse_stream
from tests.contracts.events import envelopes


async def main(path: str, name: str, count: int) -> None:
    """Append `count` events, trying again after each lost race."""
    stream = parse_stream(name)
    async with SqliteEventStore.open(path) as store:
        for _ in range(count):
            while True:
                version = len(await store.load(stream))
                try:
                    await store.append(stream, version, envelopes(stream, version, 1))
                except Conflict:
                    continue
                break


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2], int(sys.argv[3]))
