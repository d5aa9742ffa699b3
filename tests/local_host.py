"""A real server on 127.0.0.1 that is both a plain host of files and a small Hugging Face hub, with faults on demand."""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import huggingface_hub.constants
import pytest

from headstart.networks.weights import download

COMMIT = "c0ffee" + "0" * 34


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Host:
    """What the server holds, how it misbehaves, and what it was asked."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.files: dict[str, bytes] = {}
        """Path -> content, `/USER/NAME/FILE` for the hub."""
        self.announced: dict[str, str] = {}
        """Path -> sha256 that the hub claims, where it is not the right one."""
        self.faults: list[str | int] = []
        """One for each following GET: an HTTP status, or `die` after half of the bytes, or `stall` there."""
        self.refusals: dict[str, tuple[int, str]] = {}
        """`/USER/NAME` -> status and error code of every answer."""
        self.resumes = True
        self.requests: list[str] = []
        """`METHOD path [range]`, in order."""
        self.tokens: set[str | None] = set()
        """What the requests said about who asks."""
        self.released = threading.Event()

    def put(self, path: str, content: bytes) -> str:
        """Hold a file; the answer is its sha256."""
        self.files[path] = content
        return sha256(content)


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    host: Host

    def log_message(self, *args: object) -> None: ...

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        host, wanted = self.host, self.headers.get("Range", "")
        host.requests.append(f"{self.command} {self.path} {wanted}".strip())
        host.tokens.add(self.headers.get("Authorization"))
        fault = host.faults.pop(0) if host.faults and with_body else ""
        if isinstance(fault, int):
            return self._refuse(fault)
        path, headers = self.path, {}
        hub = re.fullmatch(r"(/[^/]+/[^/]+)/resolve/[^/]+/(.+)", path)
        if hub:
            repo, file = hub.groups()
            path = f"{repo}/{file}"
            if repo in host.refusals:
                status, code = host.refusals[repo]
                return self._refuse(status, code)
            if path not in host.files:
                return self._refuse(404, "EntryNotFound")
            content = host.files[path]
            headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(content).hexdigest()}"'}
            if not file.endswith((".json", ".md")):  # large files lie in LFS
                claimed = host.announced.get(path, sha256(content))
                headers |= {"X-Linked-Etag": f'"{claimed}"', "X-Linked-Size": str(len(content))}
        if path not in host.files:
            return self._refuse(404)
        self._send(host.files[path], headers, wanted, fault=fault, with_body=with_body)
        return None

    def _refuse(self, status: int, code: str = "") -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
            self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, content: bytes, headers: dict[str, str], wanted: str, *, fault: str, with_body: bool) -> None:
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.host.resumes else 0
        if start and start >= len(content):
            return self._refuse(416)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        for name, value in headers.items():
            self.send_header(name, value)
        body = content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not with_body:
            return None
        half = len(body) // 2 if fault else len(body)
        self.wfile.write(body[:half])
        self.wfile.flush()
        if fault == "stall":
            self.host.released.wait(20)
        if fault:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
        return None


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Addresses beyond this machine that were asked for; the test fails if there is one at its end."""
    asked: list[object] = []
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] != "127.0.0.1":
            asked.append(address)
            raise ConnectionRefusedError("no test may leave this machine")
        return connect(self, address)

    def guarded_look_up(host: object, *args: object, **options: object) -> object:
        if host != "127.0.0.1":
            asked.append(host)
            raise socket.gaierror(socket.EAI_NONAME, "no test may leave this machine")
        return look_up(host, *args, **options)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_look_up)
    yield asked
    assert asked == []


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outside: list[object]) -> Path:
    """`$HEADSTART_HOME`, with every other cache and setting of the machine out of the way, and no pauses."""
    for name in ("HF_ENDPOINT", "HF_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_TELEMETRY", True)  # asks the hub about programs
    monkeypatch.setattr(download, "PAUSES_SECONDS", (0.0, 0.0))
    monkeypatch.setattr("huggingface_hub.file_download.time", SimpleNamespace(sleep=lambda seconds: None))
    return tmp_path / "home"


@pytest.fixture
def host(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A running server, which `$HF_ENDPOINT` names."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    made = Host(server)
    server.RequestHandlerClass = type("Answer", (_Answer,), {"host": made})
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", made.url)
    yield made
    made.released.set()
    huggingface_hub.close_session()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def nobody() -> str:
    """A URL of this machine where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def files_under(folder: Path) -> list[str]:
    """Names of all files below, links to files too."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file() or path.is_symlink())
