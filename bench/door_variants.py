"""What would the door cost if it did less? ``python -m bench.door_variants silent|bare``.

``silent`` is ``vigie web`` whose intake writes nothing and says that all is well: the same application answering without
producing. ``bare`` is a FastAPI application that reads the body and answers; nothing is verified.
"""

import asyncio
import os
import sys
from collections.abc import Sequence

from fastapi import FastAPI, Request

import vigie.up
from stream.ingest.intake import Intake, Outgoing
from stream.web.server import serve
from vigie.__main__ import main


class Silent(Intake):
    """Takes everything, writes nothing."""

    async def put(self, records: Sequence[Outgoing]) -> None:
        """Say that all is well."""


async def bare() -> None:
    """Serve an application that only answers."""
    app = FastAPI()

    @app.post("/webhooks/{source}")
    async def webhook(source: str, request: Request) -> dict[str, int]:
        return {"accepted": len(await request.body()), "unusable": 0}

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    listening = await serve(app, "127.0.0.1", int(os.environ["VIGIE_WEB__PORT"]))
    await listening.wait()


if __name__ == "__main__":
    if sys.argv[1] == "bare":
        asyncio.run(bare())
    elif sys.argv[1] == "silent":
        vigie.up.Intake = Silent  # type: ignore[misc]
        sys.argv[1:] = ["web"]
        main()
