"""Home Assistant's HTTP and websocket APIs, as its frontend uses them."""

import asyncio
from collections.abc import AsyncIterator, Callable
import contextlib
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
import time
from typing import Any, Final, Self

import aiohttp

REPLY_S: Final = 30.0
USERNAME: Final = "demo"
PASSWORD: Final = "demo"

type Json = dict[str, Any]


class ApiError(Exception):
    """Home Assistant refused; the text is its own."""


async def onboard(url: str) -> Json:
    """Create the owner of a new Home Assistant and return the tokens that a browser would keep."""
    client_id = f"{url}/"
    user = {"name": "Demo", "username": USERNAME, "password": PASSWORD, "language": "en", "client_id": client_id}
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{url}/api/onboarding/users", json=user) as response:
            code = (await _checked(response))["auth_code"]
        return await _tokens(session, url, code)


async def log_in(session: aiohttp.ClientSession, url: str, username: str, password: str) -> str:
    """Return an access token, as the login page gets one."""
    client = {"client_id": f"{url}/"}
    start = {**client, "handler": ["homeassistant", None], "redirect_uri": f"{url}/"}
    async with session.post(f"{url}/auth/login_flow", json=start) as response:
        flow = (await _checked(response))["flow_id"]
    answers = {**client, "username": username, "password": password}
    async with session.post(f"{url}/auth/login_flow/{flow}", json=answers) as response:
        code = (await _checked(response))["result"]
    return str((await _tokens(session, url, code))["access_token"])


async def _tokens(session: aiohttp.ClientSession, url: str, code: str) -> Json:
    client_id = f"{url}/"
    grant = {"client_id": client_id, "grant_type": "authorization_code", "code": code}
    async with session.post(f"{url}/auth/token", data=grant) as response:
        tokens = await _checked(response)
    expires = int((time.time() + tokens["expires_in"]) * 1000)
    return {**tokens, "hassUrl": url, "clientId": client_id, "expires": expires}


async def long_lived_token(url: str, access_token: str) -> str:
    """Return a token that outlasts restarts."""
    async with connect(url, access_token) as api:
        return str(await api.call("auth/long_lived_access_token", client_name="BluPow", lifespan=3650))


@dataclass(slots=True)
class Change:
    """A state that an entity had from ``at`` on (monotonic seconds, when we heard of it); None once it is gone."""

    at: float
    state: str | None
    attributes: Json = field(default_factory=dict, repr=False)


class States:
    """Every state since we listen, by entity id."""

    def __init__(self) -> None:
        self.history: dict[str, list[Change]] = {}
        self._news = asyncio.Event()

    def add(self, entity_id: str, state: Json | None) -> None:
        """Note what Home Assistant has told us."""
        change = Change(time.monotonic(), None) if state is None else _change(state)
        self.history.setdefault(entity_id, []).append(change)
        self._news.set()

    def now(self, entity_id: str) -> str | None:
        """Return the state of an entity; None when there is none."""
        changes = self.history.get(entity_id)
        return changes[-1].state if changes else None

    def attributes(self, entity_id: str) -> Json:
        """Return the attributes of an entity."""
        return self.history[entity_id][-1].attributes

    async def until(self, condition: Callable[[], bool], within_s: float, what: str = "") -> float:
        """Wait until the condition holds, and return the seconds that took; AssertionError when it takes too long."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(within_s):
                while not condition():
                    self._news.clear()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0.1):  # a condition may look at other things than states
                            await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"{what or 'it'} did not happen within {within_s:.0f} s") from None
        return time.monotonic() - started


def _change(state: Json) -> Change:
    return Change(time.monotonic(), state["state"], state["attributes"])


class Api:
    """One websocket, and HTTP with the same token."""

    def __init__(self, url: str, token: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.states = States()
        self._token = token
        self._session = session
        self._socket: aiohttp.ClientWebSocketResponse
        self._reader: asyncio.Task[None]
        self._number = 0
        self._replies: dict[int, asyncio.Future[Json]] = {}
        self._events: dict[int, Callable[[Json], None]] = {}

    async def open(self) -> Self:
        """Log in."""
        self._socket = await self._session.ws_connect(
            f"{self.url.replace('http', 'ws', 1)}/api/websocket", max_msg_size=0, heartbeat=None
        )
        await self._socket.receive_json(timeout=REPLY_S)
        await self._socket.send_json({"type": "auth", "access_token": self._token})
        hello = await self._socket.receive_json(timeout=REPLY_S)
        if hello["type"] != "auth_ok":
            raise ApiError(f"login: {hello}")
        self._reader = asyncio.create_task(self._read())
        return self

    async def close(self) -> None:
        """Log out."""
        self._reader.cancel()
        await self._socket.close()

    async def call(self, command: str, **data: Any) -> Any:
        """Run a command of the websocket API and return its result."""
        return await self._send({"type": command, **data})

    async def subscribe(self, command: str, on_event: Callable[[Json], None], **data: Any) -> None:
        """Run a command that goes on sending events."""
        self._events[self._number + 1] = on_event
        await self._send({"type": command, **data})

    async def follow_states(self) -> None:
        """Keep ``states`` current from now on."""

        def changed(event: Json) -> None:
            self.states.add(event["data"]["entity_id"], event["data"]["new_state"])

        await self.subscribe("subscribe_events", changed, event_type="state_changed")
        for state in await self.call("get_states"):
            if state["entity_id"] not in self.states.history:
                self.states.add(state["entity_id"], state)

    async def service(self, domain: str, service: str, target: Json, **data: Any) -> Any:
        """Perform an action."""
        return await self.call("call_service", domain=domain, service=service, target=target, service_data=data)

    async def entities(self, platform: str) -> list[Json]:
        """Return the registered entities of an integration."""
        registry: list[Json] = await self.call("config/entity_registry/list")
        return [entry for entry in registry if entry["platform"] == platform]

    async def devices(self, entry_id: str) -> list[Json]:
        """Return the devices of a config entry."""
        registry: list[Json] = await self.call("config/device_registry/list")
        return [device for device in registry if entry_id in device["config_entries"]]

    async def entries(self, domain: str) -> list[Json]:
        """Return an integration's config entries."""
        entries: list[Json] = await self.call("config_entries/get", domain=domain)
        return entries

    async def flows(self, domain: str) -> list[Json]:
        """Return an integration's flows in progress: what is discovered, and what wants a new key."""
        flows: list[Json] = await self.call("config_entries/flow/progress")
        return [flow for flow in flows if flow["handler"] == domain]

    async def issues(self, domain: str) -> list[Json]:
        """Return an integration's repair issues."""
        issues: list[Json] = (await self.call("repairs/list_issues"))["issues"]
        return [issue for issue in issues if issue["domain"] == domain]

    async def start_flow(self, domain: str) -> Json:
        """Start a config flow as "Add integration" does."""
        return await self._http(
            "POST", "config/config_entries/flow", {"handler": domain, "show_advanced_options": False}
        )

    async def step(self, flow: Json, **answers: Any) -> Json:
        """Answer a config flow's form; returns the next form, or how it ended."""
        return await self._http("POST", f"config/config_entries/flow/{flow['flow_id']}", answers)

    async def show_flow(self, flow: Json) -> Json:
        """Return the form at which a flow waits."""
        return await self._http("GET", f"config/config_entries/flow/{flow['flow_id']}")

    async def start_options(self, entry_id: str) -> Json:
        """Open the options of a config entry."""
        return await self._http("POST", "config/config_entries/options/flow", {"handler": entry_id})

    async def step_options(self, flow: Json, **answers: Any) -> Json:
        """Answer the form of options."""
        return await self._http("POST", f"config/config_entries/options/flow/{flow['flow_id']}", answers)

    async def reload_entry(self, entry_id: str) -> None:
        """Unload a config entry and set it up again."""
        await self._http("POST", f"config/config_entries/entry/{entry_id}/reload")

    async def delete_entry(self, entry_id: str) -> None:
        """Delete a config entry."""
        await self._http("DELETE", f"config/config_entries/entry/{entry_id}")

    async def _http(self, method: str, path: str, body: Json | None = None) -> Json:
        headers = {"Authorization": f"Bearer {self._token}"}
        timeout = aiohttp.ClientTimeout(2 * REPLY_S)
        async with self._session.request(
            method, f"{self.url}/api/{path}", json=body, headers=headers, timeout=timeout
        ) as response:
            return await _checked(response)

    async def _send(self, message: Json) -> Any:
        self._number += 1
        number = self._number
        reply = self._replies[number] = asyncio.get_running_loop().create_future()
        try:
            await self._socket.send_json({"id": number, **message})
            async with asyncio.timeout(REPLY_S):
                answer = await reply
        finally:
            del self._replies[number]
        if not answer["success"]:
            raise ApiError(f"{message['type']}: {answer['error']}")
        return answer["result"]

    async def _read(self) -> None:
        async for message in self._socket:
            content = message.json()
            number = content.get("id")
            if content["type"] == "event" and number in self._events:
                self._events[number](content["event"])
            elif content["type"] == "result" and number in self._replies and not self._replies[number].done():
                self._replies[number].set_result(content)
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(ApiError("Home Assistant has closed the connection"))


@asynccontextmanager
async def connect(url: str, token: str) -> AsyncIterator[Api]:
    """Log in to a Home Assistant for a while."""
    async with aiohttp.ClientSession() as session:
        api = await Api(url, token, session).open()
        try:
            yield api
        finally:
            await api.close()


async def _checked(response: aiohttp.ClientResponse) -> Json:
    if not response.ok:
        raise ApiError(f"{response.url.path}: {response.status} {await response.text()}")
    answer: Json = await response.json()
    return answer
