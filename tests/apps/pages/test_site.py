"""The app and its server, without a browser."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from importlib.util import find_spec

import pytest

from headstart.apps.pages import site
from headstart.errors import HeadstartError
from web_server import serving


class Client:
    """Asks the server, and takes refusals as answers too."""

    def __init__(self, address: str) -> None:
        self.host, port = address.removeprefix("http://").strip("/").split(":")
        self.port = int(port)

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], str]:
        """Status, headers in small letters, text."""
        connection = HTTPConnection(self.host, self.port, timeout=300)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    if find_spec("gradio") is None:
        pytest.skip("the extra web is not installed")
    with serving(tmp_path_factory.mktemp("server")) as address:
        yield Client(address)


def test_the_page_is_served_with_a_policy_that_names_no_other_host(client):
    status, headers, _ = client.get("/")
    assert status == 200
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy
    assert "*" not in policy
    assert headers["referrer-policy"] == "no-referrer"


def test_fonts_and_styles_are_files_of_this_server(client):
    config = json.loads(client.get("/config")[2])
    assert not [sheet for sheet in config["stylesheets"] if "//" in sheet]
    status, _, theme = client.get("/theme.css")
    assert status == 200
    assert "font-face" in theme
    assert "https://" not in theme
    assert config["analytics_enabled"] is False


def test_another_name_for_this_machine_is_refused(client):
    """A page elsewhere whose name was pointed here must not read the answers."""
    assert client.get("/", host="evil.example")[0] == 400
    assert client.get("/", host="localhost:7860")[0] == 200


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/gradio_api/runs"])
def test_pages_that_load_from_elsewhere_are_not_there(client, path: str):
    assert client.get(path)[0] == 404


def test_events_go_past_the_queue_and_every_field_is_one(client):
    config = json.loads(client.get("/config")[2])
    events = config["dependencies"]
    assert [len(event["inputs"]) for event in events] == [11, 4, 11]
    assert not any(event["queue"] for event in events)
    assert {event["trigger_mode"] for event in events} == {"always_last"}
    assert [len(event["targets"]) for event in events] == [11, 4, 11]


def test_without_a_port_the_first_free_one_is_taken():
    with site.listen("127.0.0.1", None) as first, site.listen("127.0.0.1", None) as second:
        ports = [one.getsockname()[1] for one in (first, second)]
        assert site.FIRST_PORT <= ports[0] < ports[1]


def test_a_taken_port_is_named_with_the_way_out():
    with site.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(HeadstartError, match=f"port {port} of 127.0.0.1 cannot be had .*choose another --port"):
            site.listen("127.0.0.1", port)


def test_a_host_that_is_not_this_machine_is_refused():
    with pytest.raises(HeadstartError, match="choose another --port or --host"):
        site.listen("192.0.2.1", 0)


def test_a_socket_that_listens_takes_connections_before_the_server_runs():
    with site.listen("127.0.0.1", 0) as listening:
        socket.create_connection(listening.getsockname(), timeout=2).close()


def test_a_missing_gradio_is_reported_with_its_command(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(HeadstartError, match=r'pip install "headstart\[web\]"'):
        site.blocks()
