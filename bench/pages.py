"""What do open pages cost? ``python -m bench.pages [PAGES] [SECONDS]``.

A company that lives (some twelve events a second, so that figures change each second), its page served by a process of its own,
and pages that read what is streamed to them, in another. CPU time of the server with its pages, without them, and bytes.
"""

import asyncio
import resource
import sys
from typing import Any

from stream.web.server import serve
from tests.stream.demo import fresh
from tests.stream.web.web import application, board

_EVENTS, _ALERTS = 1_000, 56


async def served() -> None:
    """Serve until standard input ends; on each line say how much CPU time (s) has been used."""
    acme = fresh()
    alert = {"rule": "lead-unanswered", "severity": "warn", "state": "firing", "summary": "Lead L from web has waited 5 h"}
    alerts: list[dict[str, Any]] = [{**alert, "id": f"l{n}", "segment": {"lead": f"L{n}"}} for n in range(_ALERTS)]
    app = application(board(acme), alerts=lambda: alerts)
    listening = await serve(app, "127.0.0.1", 0, before_stop=app.state.vigie.live.stop)
    print(listening.port, flush=True)

    async def live() -> None:
        while True:
            acme.step(_EVENTS)
            await asyncio.sleep(1)

    living = asyncio.create_task(live())
    while await asyncio.to_thread(sys.stdin.readline):
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(used.ru_utime + used.ru_stime, flush=True)
    living.cancel()
    await listening.stop()


async def page(port: int, read: list[int]) -> None:
    """Read what is streamed to one page."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /api/stream?window=30d HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
    while chunk := await reader.read(1 << 20):
        read[0] += len(chunk)


async def main(pages: int, seconds: float) -> None:
    """Measure and print."""
    command = (sys.executable, "-m", "bench.pages", "serve")
    server = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    orders, answers = server.stdin, server.stdout
    assert orders is not None and answers is not None
    port = int(await answers.readline())

    async def used() -> float:
        orders.write(b"\n")
        return float(await answers.readline())

    async def over(count: int) -> tuple[float, float]:
        read = [0]
        tasks = [asyncio.create_task(page(port, read)) for _ in range(count)]
        await asyncio.sleep(5)
        before, bytes_before = await used(), read[0]
        await asyncio.sleep(seconds)
        found = (await used() - before) / seconds, (read[0] - bytes_before) / seconds / max(1, count)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return found

    for count in (0, 1, pages):
        share, size = await over(count)
        print(f"{count:4d} pages: {share:6.1%} of a core, {size / 1000:.1f} kB/s a page")
    orders.close()
    await server.wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(served())
    else:
        asyncio.run(main(*(int(one) for one in sys.argv[1:3]) if len(sys.argv) > 2 else (200, 20)))
