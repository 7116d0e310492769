"""Print, as a JSON list, which TCP ports of a host and of the containers behind it answer this machine."""

import asyncio
import json
import subprocess
import sys

HOST, NETWORKS = sys.argv[1:]
SEGMENTS, NUMBERS, PORTS = range(5), range(2, 24), (80, 443, 2181, 3000, 6379, 7071, 8000, 8080, 9090, 9092, 9094, 9100)
SECONDS = 2.0
AT_ONCE = 512


async def answers(slots: asyncio.Semaphore, host: str, port: int) -> str:
    """Return the address where somebody answers, else an empty string."""
    async with slots:
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), SECONDS)
        except OSError:  # a time-out is one too, from Python 3.11 on
            return ""
        writer.close()
        return f"{host}:{port}"


async def scan() -> list[str]:
    """Try everything."""
    slots = asyncio.Semaphore(AT_ONCE)
    doors = [(HOST, port) for port in range(1, 65536)]
    doors += [(f"{NETWORKS}{segment}.{number}", port) for segment in SEGMENTS for number in NUMBERS for port in PORTS]
    found = await asyncio.gather(*(answers(slots, *door) for door in doors))
    return [one for one in found if one]


route = (f"{NETWORKS}0.0/16", "via", HOST)
subprocess.run(["ip", "route", "replace", *route], check=True)
try:
    print(json.dumps(asyncio.run(scan())))
finally:  # the next scenario's host has no such route
    subprocess.run(["ip", "route", "del", *route], check=True)
