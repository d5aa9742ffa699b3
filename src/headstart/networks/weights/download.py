"""Downloads of weight files, whole and checked, or not at all; without torch.

Files lie under `$HEADSTART_HOME/weights`. A file that is there already, from an earlier call or put there by the user,
is used without any request. A transfer is tried three times, unless the error is final (no permission, no such file),
and resumes where it broke off if the server allows it. `hub.py` downloads files of the Hugging Face hub with
the same rules and the same words.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from io import BufferedRandom, BufferedReader
from pathlib import Path
from typing import Any, TypeVar

from headstart.errors import DiskFullError, HeadstartError, ModelError, WeightsUnavailableError, require
from headstart.files import FULL_DISK, has_file, home

PAUSES_SECONDS = (1.0, 3.0)
"""Pauses before the second and the third try."""
TIMEOUT_SECONDS = 20
"""Without a byte from the server."""

NOT_THERE = {404, 410}
NO_PERMISSION = {401, 403}
_PASSING = {408, 425, 429}
"""HTTP statuses below 500 that may pass."""
_OURS = (TypeError, AttributeError, NameError, LookupError, AssertionError)
"""Faults of programs, not of networks."""
_NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}

ActionResult = TypeVar("ActionResult")


def weights_folder() -> Path:
    """Folder of weights, in which the user may put some."""
    return home() / "weights"


def from_url(url: str, file: str, *, sha256: str = "", elsewhere: Sequence[Path] = ()) -> Path:
    """File of `url`, downloaded once to `$HEADSTART_HOME/weights/FILE`.

    Args:
        url: Of one file.
        file: Its name here.
        sha256: The hash in hex, or how it begins; empty if unknown.
        elsewhere: Where another program may have put the same file; it is used from there if its hash is right.

    Raises:
        ModelError: it is unavailable, or arrived damaged; the message names the URL and where to put the file.
        DiskFullError: the disk is full; no partial file is left.
    """
    path = weights_folder() / file
    if has_file(path):
        return path
    for other in elsewhere:
        if has_file(other) and is_whole(other, sha256):
            return other
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _part_of(path, keep=bool(sha256)) as (part, aside):
            if not has_file(path):  # else another process was faster
                _fill(part, url, sha256)
                os.fsync(part.fileno())
                aside.replace(path)
    except Exception as error:
        raise download_error(error, url, place=path) from error
    return path


@contextlib.contextmanager
def _part_of(path: Path, *, keep: bool) -> Iterator[tuple[BufferedRandom, Path]]:
    """Partial file next to `path`, locked by one process at a time.

    With `keep` it survives an interruption, so that the next call resumes from it.
    """
    aside = path.with_name(f".{path.name}.part")
    while True:
        part = os.fdopen(os.open(aside, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        fcntl.flock(part, fcntl.LOCK_EX)
        # The lock was waited for: meanwhile its holder may have renamed or removed the file we opened.
        if aside.exists() and os.path.samestat(aside.stat(), os.fstat(part.fileno())):
            break
        part.close()  # another process has put it in place, or removed it
    try:
        yield part, aside
    except BaseException as error:
        # Ctrl-C is no Exception: what has arrived stays, so that the next call goes on from there.
        passing = not isinstance(error, Exception) or is_passing(error)
        if not (keep and passing and os.fstat(part.fileno()).st_size):
            aside.unlink(missing_ok=True)
        raise
    else:
        aside.unlink(missing_ok=True)
    finally:
        with contextlib.suppress(OSError):  # a full disk has been reported
            part.close()


def _fill(part: BufferedRandom, url: str, sha256: str) -> None:
    """Write what is behind `url` to `part`, from where it ends, and check it."""
    # Without a hash nobody could tell whether two halves belong to one file.
    resumed = bool(sha256) and part.seek(0, os.SEEK_END) > 0
    if not resumed:
        _empty(part)
    tried(lambda: _stream(url, part))
    if resumed and not _has_hash(part, sha256):  # what an earlier call left belongs to another file
        _empty(part)
        tried(lambda: _stream(url, part))
    if not _has_hash(part, sha256):
        raise damaged(url, sha256)


def _stream(url: str, part: BufferedRandom) -> None:
    # Imported late: most commands read this module's folder alone, and the client brings ssl and email.
    import urllib.error
    import urllib.request

    have = part.seek(0, os.SEEK_END)
    headers = {"User-Agent": "headstart"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        # Our part is as long as the file or longer: begin again, as after a broken connection.
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            _empty(part)
            raise ConnectionError("the server does not go on where it broke off") from None
        raise
    with answer:
        # A server may ignore the range and send the file from its beginning.
        if answer.status != HTTPStatus.PARTIAL_CONTENT:
            have = _empty(part)
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        with _bar(url.rsplit("/", 1)[-1], have, total) as bar:
            while chunk := answer.read1(1 << 20):
                part.write(chunk)
                bar.update(len(chunk))
    # urllib takes a connection that breaks off for the end of the file.
    if total is not None and part.tell() != total:
        raise ConnectionError(f"the connection ended after {part.tell()} of {total} bytes")


def _empty(part: BufferedRandom) -> int:
    part.seek(0)
    return part.truncate()


def _has_hash(file: BufferedRandom | BufferedReader, sha256: str) -> bool:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest().startswith(sha256)


def _bar(name: str, have: int, total: int | None) -> Any:  # noqa: ANN401 - a tqdm bar
    """The bar that the hub shows too; on stderr, and only if that is a terminal."""
    tqdm = require("huggingface_hub.utils", extra="train").tqdm
    return tqdm(desc=name, initial=have, total=total, unit="B", unit_scale=True, disable=None)


def is_whole(path: Path, sha256: str) -> bool:
    """Whether the hash of a file begins with `sha256`; remembered for as long as size and date stay the same."""
    if not sha256:
        return True
    stat = path.stat()
    # Hashing a gigabyte takes seconds, so it is done once and again only after the file changed.
    now = f"{stat.st_size} {stat.st_mtime_ns}"
    mark = weights_folder() / ".checked" / sha256
    with contextlib.suppress(OSError):
        if mark.read_text() == now:
            return True
    with path.open("rb") as file:
        whole = _has_hash(file, sha256)
    if whole:
        with contextlib.suppress(OSError):  # where nothing can be written, the file is checked each time
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.write_text(now)
    return whole


def tried(action: Callable[[], ActionResult]) -> ActionResult:
    """The result of `action`; tried again after a pause while the fault may pass."""
    for pause in PAUSES_SECONDS:
        try:
            return action()
        except Exception as error:
            if not is_passing(error):
                raise
        time.sleep(pause)
    return action()


def is_passing(error: Exception) -> bool:
    """Whether another try may succeed."""
    status = http_status(error)
    if status is not None:
        return status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return not isinstance(error, (HeadstartError, *_OURS)) and not _is_full(error) and not _is_not_writable(error)


def http_status(error: BaseException) -> int | None:
    """HTTP status behind an error of urllib or of the hub."""
    import urllib.error

    for cause in _causes(error):
        if isinstance(cause, urllib.error.HTTPError):
            return cause.code
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if isinstance(status, int):
            return status
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Error and its causes."""
    following: BaseException | None = error
    while following is not None:
        yield following
        # As Python prints them: `raise ... from None` ends the chain.
        context = None if following.__suppress_context__ else following.__context__
        following = following.__cause__ or context


def _is_full(error: BaseException) -> bool:
    # hf-xet wraps the system's error in its own; the cause is then only in its text.
    return any(
        getattr(cause, "errno", None) in FULL_DISK or "No space left" in str(cause) or "os error 28" in str(cause)
        for cause in _causes(error)
    )


def _is_not_writable(error: BaseException) -> bool:
    # Errors of sockets have such numbers too (a firewall), but no file name.
    return any(
        isinstance(cause, OSError) and cause.errno in _NOT_WRITABLE and cause.filename for cause in _causes(error)
    )


def damaged(url: str, sha256: str) -> ModelError:
    """The error for a file whose hash is not the one it should have."""
    return ModelError(f"{url} arrived damaged and was removed", expected=f"sha256 {sha256}", remedy="try again")


def download_error(error: Exception, url: str, *, place: Path, repo: str = "") -> HeadstartError:
    """Error with the way out, in one line.

    Args:
        error: Whatever was raised.
        url: The requested file.
        place: Where the file is looked for first.
        repo: The repository of the hub, for files from there.
    """
    if isinstance(error, HeadstartError):
        return error
    if isinstance(error, _OURS):
        raise error
    lines = str(getattr(error, "reason", None) or error).strip().splitlines()
    reason = lines[0].rstrip(". ") if lines else type(error).__name__
    status = http_status(error)
    if _is_full(error):
        return DiskFullError(
            f"the disk is full: {url} could not be saved",
            remedy="nothing half there is left; make room, or let $HEADSTART_HOME and $HF_HOME name a larger disk",
        )
    if _is_not_writable(error):
        return ModelError(
            f"{url} could not be saved ({reason})",
            remedy="let $HEADSTART_HOME and $HF_HOME name folders that you can write",
        )
    if status in NO_PERMISSION and repo:
        return WeightsUnavailableError(
            f"{url} needs a permission (HTTP {status}): its licence is to be accepted, or it is private or not there",
            remedy=f"accept the licence at https://huggingface.co/{repo}, then run `hf auth login` or set HF_TOKEN",
        )
    if status in NOT_THERE | NO_PERMISSION:
        found = "does not exist" if status in NOT_THERE else "is refused"
        way_out = f"if you have the file, put it at {place}"
        return WeightsUnavailableError(f"{url} {found} (HTTP {status})", remedy=way_out)
    return WeightsUnavailableError(
        f"{url} cannot be downloaded ({reason})",
        remedy=f"fetch it on a machine with network and put it at {place}, "
        "or take tf_efficientnet_lite0, whose weights come with the installation",
    )
