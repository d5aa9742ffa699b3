"""Downloads against a real server: whole and checked, or not there; and the one line that says the way out."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from headstart.errors import DiskFullError, ModelError
from headstart.networks.weights import download
from headstart.networks.weights.download import from_url, is_passing, is_whole
from local_host import Host, files_under, sha256

CONTENT = bytes(range(256)) * 1200  # 300 kB


@pytest.fixture
def url(host: Host) -> str:
    host.put("/models/net.pth", CONTENT)
    return f"{host.url}/models/net.pth"


def test_a_file_is_downloaded_once_and_checked(home: Path, host: Host, url: str):
    for _ in range(2):
        path = from_url(url, "net.pth", sha256=sha256(CONTENT)[:8])
        assert path == home / "weights" / "net.pth"
        assert path.read_bytes() == CONTENT
    assert host.requests == ["GET /models/net.pth"]
    assert files_under(home) == ["net.pth"]


def test_a_file_without_a_known_hash_is_taken_as_it_comes(home: Path, url: str):
    assert from_url(url, "net.pth").read_bytes() == CONTENT
    assert files_under(home) == ["net.pth"]


def test_a_file_put_there_by_hand_is_used_without_a_request(home: Path, host: Host, url: str):
    (home / "weights").mkdir(parents=True)
    (home / "weights" / "net.pth").write_bytes(b"mine")
    assert from_url(url, "net.pth", sha256="0" * 8).read_bytes() == b"mine"
    assert host.requests == []


def test_a_file_of_another_program_is_used_if_its_hash_is_right(tmp_path: Path, host: Host, url: str):
    for name, content in {"wrong.pth": b"wrong", "right.pth": CONTENT}.items():
        (tmp_path / name).write_bytes(content)
    elsewhere = [tmp_path / "none.pth", tmp_path / "wrong.pth", tmp_path / "right.pth"]
    assert from_url(url, "net.pth", sha256=sha256(CONTENT), elsewhere=elsewhere) == tmp_path / "right.pth"
    assert host.requests == []


def test_damaged_bytes_are_one_line_and_nothing_is_left(home: Path, host: Host, url: str):
    with pytest.raises(ModelError, match=r"net\.pth arrived damaged.*expected sha256 0000; try again") as caught:
        from_url(url, "net.pth", sha256="0000")
    assert "\n" not in str(caught.value)
    assert files_under(home) == []
    assert len(host.requests) == 1


@pytest.mark.parametrize("faults", [["die"], ["die", 503], [500, 429]])
def test_a_fault_that_passes_is_overcome(home: Path, host: Host, url: str, faults: list):
    host.faults = list(faults)
    assert from_url(url, "net.pth", sha256=sha256(CONTENT)).read_bytes() == CONTENT
    assert len(host.requests) == len(faults) + 1
    assert files_under(home) == ["net.pth"]


def test_a_broken_transfer_goes_on_where_it_ended(host: Host, url: str):
    host.faults = ["die"]
    from_url(url, "net.pth", sha256=sha256(CONTENT))
    assert host.requests[1] == f"GET /models/net.pth bytes={len(CONTENT) // 2}-"


def test_a_server_that_cannot_go_on_sends_everything_again(home: Path, host: Host, url: str):
    host.resumes, host.faults = False, ["die", "die"]
    assert from_url(url, "net.pth").read_bytes() == CONTENT


def test_three_faults_are_too_many_and_the_next_call_goes_on(home: Path, host: Host, url: str):
    host.faults = ["die", 503, 503]
    with pytest.raises(ModelError, match=r"cannot be downloaded \(Service Unavailable\)"):
        from_url(url, "net.pth", sha256=sha256(CONTENT))
    assert files_under(home) == [".net.pth.part"]
    assert from_url(url, "net.pth", sha256=sha256(CONTENT)).read_bytes() == CONTENT
    assert host.requests[-1].endswith(f"bytes={len(CONTENT) // 2}-")
    assert files_under(home) == ["net.pth"]


def test_without_a_known_hash_no_part_outlives_the_call(home: Path, host: Host, url: str):
    host.faults = ["die", "die", "die"]
    with pytest.raises(ModelError, match=r"the connection ended after \d+ of 307200 bytes"):
        from_url(url, "net.pth")
    assert files_under(home) == []


@pytest.mark.parametrize("left", [b"of another file", CONTENT + b"too long", CONTENT])
def test_what_an_earlier_call_left_is_checked(home: Path, url: str, left: bytes):
    (home / "weights").mkdir(parents=True)
    (home / "weights" / ".net.pth.part").write_bytes(left)
    assert from_url(url, "net.pth", sha256=sha256(CONTENT)).read_bytes() == CONTENT
    assert files_under(home) == ["net.pth"]


@pytest.mark.parametrize(("status", "words"), [(404, "does not exist"), (410, "does not exist"), (403, "is refused")])
def test_a_final_response_is_not_requested_again(home: Path, host: Host, url: str, status: int, words: str):
    host.faults = [status]
    with pytest.raises(ModelError) as caught:
        from_url(url, "net.pth", sha256="0000")
    assert str(caught.value) == (
        f"{url} {words} (HTTP {status}); if you have the file, put it at {home / 'weights' / 'net.pth'}"
    )
    assert len(host.requests) == 1
    assert files_under(home) == []


def test_without_network_the_line_names_file_place_and_what_is_installed(home: Path, nobody: str):
    with pytest.raises(ModelError) as caught:
        from_url(f"{nobody}/net.pth", "net.pth", sha256="0000")
    assert str(caught.value) == (
        f"{nobody}/net.pth cannot be downloaded ([Errno 111] Connection refused); fetch it on a machine with network "
        f"and put it at {home / 'weights' / 'net.pth'}, or take tf_efficientnet_lite0, "
        "whose weights come with the installation"
    )
    assert files_under(home) == []


def test_each_try_waits_longer_than_the_one_before(monkeypatch: pytest.MonkeyPatch, home: Path, nobody: str):
    waited = []
    monkeypatch.setattr(download, "PAUSES_SECONDS", (1.0, 3.0))
    monkeypatch.setattr(download.time, "sleep", waited.append)
    with pytest.raises(ModelError):
        from_url(f"{nobody}/net.pth", "net.pth")
    assert waited == [1.0, 3.0]


def test_a_full_disk_leaves_nothing(home: Path, url: str):
    """A limit on the size of files stands for the full disk: writing fails in the middle, in the system."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(DiskFullError, match=r"the disk is full: .*net\.pth could not be saved; nothing half there"):
            from_url(url, "net.pth", sha256=sha256(CONTENT))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert files_under(home) == []


def test_a_folder_that_cannot_be_made_is_named(home: Path, url: str):
    home.write_text("a file")
    with pytest.raises(ModelError, match=r"could not be saved \(.*\); let \$HEADSTART_HOME and \$HF_HOME name folders"):
        from_url(url, "net.pth")


def in_another_process(call: str) -> subprocess.Popen:
    environment = {**os.environ, "HF_HUB_DISABLE_TELEMETRY": "1"}
    # A job in the background of a shell is born deaf to Ctrl-C, and so would its children be.
    listening = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    return subprocess.Popen([sys.executable, "-c", listening + call], env=environment, stderr=subprocess.DEVNULL)


def wait_for(condition) -> None:
    deadline = time.monotonic() + 300  # another process has to start first, on a machine that may be very busy
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("waited for five minutes")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_process_that_ends_in_the_middle_leaves_nothing_that_counts(
    home: Path, host: Host, url: str, how: signal.Signals
):
    host.faults = ["stall"]
    process = in_another_process(
        "from headstart.networks.weights.download import from_url; "
        f"from_url({url!r}, 'net.pth', sha256={sha256(CONTENT)!r})"
    )
    part = home / "weights" / ".net.pth.part"
    wait_for(lambda: part.is_file() and part.stat().st_size > 100_000)
    process.send_signal(how)
    process.wait()
    assert files_under(home) == [".net.pth.part"]
    assert from_url(url, "net.pth", sha256=sha256(CONTENT)).read_bytes() == CONTENT
    assert "bytes=" in host.requests[-1]
    assert files_under(home) == ["net.pth"]


def test_two_processes_download_once(home: Path, host: Host, url: str):
    host.faults = ["stall"]
    call = "from headstart.networks.weights import download; download.PAUSES_SECONDS = (0, 0); "
    call += f"download.from_url({url!r}, 'net.pth', sha256={sha256(CONTENT)!r})"
    first = in_another_process(call)
    wait_for(lambda: host.requests)
    second = in_another_process(call)
    time.sleep(0.3)
    host.released.set()
    assert (first.wait(), second.wait()) == (0, 0)
    assert (home / "weights" / "net.pth").read_bytes() == CONTENT
    assert len(host.requests) == 2  # the stalled one, and its continuation
    assert files_under(home) == ["net.pth"]


def test_a_hash_is_computed_once(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "w"
    path.write_bytes(CONTENT)
    computed = []
    right = download._has_hash
    monkeypatch.setattr(download, "_has_hash", lambda *args: computed.append(1) or right(*args))
    assert all(is_whole(path, sha256(CONTENT)) for _ in range(3))
    assert len(computed) == 1
    path.write_bytes(b"x" + CONTENT[1:])  # same size, another date
    assert not is_whole(path, sha256(CONTENT))
    assert len(computed) == 2


def test_a_firewall_is_no_folder_that_cannot_be_written():
    assert is_passing(OSError(1, "Operation not permitted"))
    assert not is_passing(PermissionError(13, "Permission denied", "/cache/weights"))
    assert not is_passing(ModelError("no"))


def test_progress_is_shown_on_a_terminal_only(home: Path, host: Host, url: str, capfd: pytest.CaptureFixture):
    from_url(url, "net.pth")
    assert capfd.readouterr() == ("", "")
    main, side = os.openpty()
    termios.tcsetwinsize(side, (24, 100))
    call = f"from headstart.networks.weights.download import from_url; from_url({url!r}, 'other.pth')"
    done = subprocess.run([sys.executable, "-c", call], stdout=subprocess.PIPE, stderr=side, check=True)
    os.write(side, b"END")
    shown = b""
    while not shown.endswith(b"END"):
        shown += os.read(main, 10_000)
    for end in (main, side):
        os.close(end)
    assert b"net.pth: 100%" in shown
    assert done.stdout == b""


def test_it_is_light():
    code = "import sys, headstart.networks.weights.download; assert not {'torch', 'huggingface_hub'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
