"""Records what the real client sends in a session, as seeds for the fuzzers: writes tests/data/client_messages.json."""

import asyncio
import json
from base64 import b64encode
from contextlib import suppress
from typing import Any, Final

from aioesphomeapi import APIClient, LogLevel
from aioesphomeapi.core import APIConnectionError
from seeds import FUZZ_KEY, RECORDING, MemoryKeys, fuzz_node

from blupow_proxy.native_api import Mode
from blupow_proxy.native_api.framing import PlaintextFraming
from blupow_proxy.server import ApiServer

READ_BYTES: Final = 65536


class Tap:
    """A relay that keeps what the client says."""

    def __init__(self, port: int) -> None:
        self.said = bytearray()
        self._port = port

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)

        async def answers() -> None:
            while data := await there.read(READ_BYTES):
                writer.write(data)
            writer.close()

        answering = asyncio.create_task(answers())
        while data := await reader.read(READ_BYTES):
            self.said += data
            back.write(data)
        back.close()
        await answering


async def converse(client: APIClient) -> None:
    """Say everything once that Home Assistant and the companion say."""
    await client.connect(login=True)
    entities, actions = (await client.device_info_and_list_entities())[1:]
    client.subscribe_states(lambda _: None)
    client.subscribe_logs(lambda _: None, log_level=LogLevel.LOG_LEVEL_DEBUG)
    by_name = {entity.name: entity for entity in entities}
    client.switch_command(by_name["Load"].key, True, device_id=by_name["Load"].device_id)
    client.button_command(by_name["Beep"].key)
    client.number_command(by_name["Poll"].key, 2.5)
    client.select_command(by_name["Mode"].key, "ECO")
    given: dict[str, Any] = {"unit": "Rover", "count": -3, "names": ["a", "b"], "on": True, "factor": 0.5}
    await client.execute_service(actions[0], given)
    with suppress(APIConnectionError, TimeoutError):
        async with asyncio.timeout(1):
            await client.execute_service(actions[1], {}, return_response=True)
    await client.noise_encryption_set_key(b64encode(bytes(32)))
    await client.device_info()
    await client.disconnect()


async def record(keys: MemoryKeys) -> bytes:
    server = ApiServer(fuzz_node(), keys, host="127.0.0.1", port=0)
    await server.start()
    tap = Tap(server.port)
    relay = await asyncio.start_server(tap.relay, "127.0.0.1", 0)
    port = relay.sockets[0].getsockname()[1]
    psk = None if keys.key is None else b64encode(keys.key).decode()
    await converse(APIClient("127.0.0.1", port, None, noise_psk=psk, client_info="Home Assistant 2026.11.2"))
    relay.close()
    await server.stop()
    return bytes(tap.said)


async def main() -> None:
    plain = await record(MemoryKeys(Mode.PLAINTEXT))
    sealed = await record(MemoryKeys(Mode.ENCRYPTED, FUZZ_KEY))
    hello = 3 + int.from_bytes(sealed[1:3])
    handshake = hello + 3 + int.from_bytes(sealed[hello + 1 : hello + 3])
    recording = {
        "messages": [f"{number} {body.hex()}" for number, body in PlaintextFraming().feed(plain)],
        "noise_hello": sealed[:hello].hex(),
        "noise_handshake": sealed[hello:handshake].hex(),
        "noise_rest": sealed[handshake:].hex(),
    }
    RECORDING.write_text(json.dumps(recording, indent=1) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
