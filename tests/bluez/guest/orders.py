"""Orders over TCP: a line of JSON in, a line of JSON out."""

import asyncio
import contextlib
import json


async def serve(servant: object, port: int) -> asyncio.Server:
    """Listen for orders: ``{"op": "x", ...}`` is ``servant.do_x(...)``, and an exception the answer's "error"."""

    async def obey(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                order = json.loads(line)
                try:
                    answer = await getattr(servant, f"do_{order.pop('op')}")(**order)
                except Exception as error:  # noqa: BLE001 - whoever asked is told
                    answer = {"error": repr(error)}
                writer.write(json.dumps(answer or {}).encode() + b"\n")
                await writer.drain()
        writer.close()

    return await asyncio.start_server(obey, port=port)
