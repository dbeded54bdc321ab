"""A real yaml-language-server, as an editor starts it, and what it says of files."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final, Self

FOLDER: Final = Path(
    os.environ.get("BLUPOW_LANGUAGE_SERVER", Path(__file__).parents[2] / ".cache" / "yaml-language-server")
)
TAGS: Final = ("!secret scalar", "!env_var scalar", "!include scalar", "!include mapping", "!extend scalar")
TAGS_ALL: Final = (*TAGS, "!remove scalar", "!lambda scalar", "!literal scalar")


class LanguageServer:
    """Speaks the language server protocol; ``check`` returns what is said of a file."""

    def __enter__(self) -> Self:
        command = [FOLDER / "bin" / "yaml-language-server", "--stdio"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=False)
        self._number = 0
        self._settings = {"yaml": {"validate": True, "customTags": list(TAGS_ALL), "schemaStore": {"enable": False}}}
        self._request("initialize", {"processId": None, "rootUri": None, "capabilities": {}})
        self._send({"method": "initialized", "params": {}})
        self._send({"method": "workspace/didChangeConfiguration", "params": {"settings": self._settings}})
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def check(self, path: Path, text: str) -> list[str]:
        """Return the messages about ``text`` in a file beside ``path``, each as line:column: message."""
        self._number += 1  # it remembers what it has said of a file
        uri = path.absolute().with_stem(f"{path.stem}-{self._number}").as_uri()
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
        return [
            f"{one['range']['start']['line'] + 1}:{one['range']['start']['character'] + 1}: {one['message']}"
            for one in self._diagnostics(uri)
        ]

    def _diagnostics(self, uri: str) -> list[dict[str, Any]]:
        while True:
            message = self._receive()
            if message.get("method") == "textDocument/publishDiagnostics" and message["params"]["uri"] == uri:
                return list(message["params"]["diagnostics"])

    def _request(self, method: str, params: Any) -> Any:
        self._number += 1
        self._send({"id": self._number, "method": method, "params": params})
        while True:
            message = self._receive()
            if message.get("id") == self._number and "method" not in message:
                return message["result"]

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        length = 0
        while (line := self._process.stdout.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if not length:
            raise EOFError("the language server has ended")
        message: dict[str, Any] = json.loads(self._process.stdout.read(length))
        if "method" in message and "id" in message:  # it asks for settings, or to be told of changes
            items = message.get("params", {}).get("items", []) if message["method"] == "workspace/configuration" else []
            result = [self._settings.get(item.get("section")) for item in items] if items else None
            self._send({"id": message["id"], "result": result})
        return message
