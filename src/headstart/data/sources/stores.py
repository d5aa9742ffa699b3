"""Images of remote stores that fsspec knows (s3, gs, http ...): what lies there, and each image when it is read.

What was fetched once is kept on disk (see `copies`), so that an epoch fetches nothing a second time.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote

from headstart.data.sources.copies import local_copy
from headstart.data.sources.file_kinds import FIRST_BYTES
from headstart.data.sources.listing import Listing, Member
from headstart.errors import DataError, DiskFullError, HeadstartError, MissingExtraError, require

_PACKAGES = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "abfss", "adl"), "adlfs"),
    **dict.fromkeys(("http", "https"), "aiohttp"),
    **dict.fromkeys(("sftp", "ssh"), "paramiko"),
    **dict.fromkeys(("webdav", "dav"), "webdav4"),
    **dict.fromkeys(("oss",), "ossfs"),
    **dict.fromkeys(("oci",), "ocifs"),
    **dict.fromkeys(("smb",), "smbprotocol"),
    **dict.fromkeys(("hdfs", "arrow_hdfs"), "pyarrow"),
}
"""Protocol -> package that fsspec needs for it."""
_STATES = ("size", "ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "updated", "created")
"""What stores say of a file that tells one state of it from another."""


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One object of a remote store."""

    url: str
    state: str = ""
    """What tells one state of it from another; empty where the store does not say it."""

    def read(self) -> bytes:
        """The encoded image, fetched at the first call and read from its copy later.

        Raises:
            OSError: it is gone, or the store cannot be reached.
        """
        try:
            return local_copy(
                f"{self.url}\0{self.state}", lambda aside: aside.write_bytes(_fetch(self.url))
            ).read_bytes()
        except (DiskFullError, PermissionError):  # without a copy it is fetched each time
            return _fetch(self.url)
        except HeadstartError as error:
            raise OSError(str(error)) from error


@dataclass(frozen=True, slots=True)
class StoreFolder:
    """A folder of a remote store, in which the paths of a table begin."""

    url: str

    def find(self, image: str) -> StoredImage:
        """The place of an image; whether it is there shows when it is read."""
        protocol, _, place = self.url.partition("://")
        path = posixpath.normpath(posixpath.join(f"/{place}", image.replace("\\", "/"))).lstrip("/")
        return StoredImage(f"{protocol}://{quote(path, safe='/:@%') if _is_web(self.url) else path}")


def store_folder_of(url: str) -> StoreFolder:
    """The folder in which an object lies."""
    return StoreFolder(url.rpartition("/")[0])


def copy_of_store_file(url: str) -> Path:
    """A copy on this disk of one file of a store, with its suffix.

    Raises:
        DataError: it is not there, or the store cannot be reached.
        MissingExtraError: a package for this kind of store is not installed.
        DiskFullError: there is no room for it.
    """
    system, path = _system_of(url)
    try:
        state = _state_of(system.info(path))
        suffix = PurePosixPath(url).suffix.lower()
        return local_copy(f"{url}\0{state}", lambda aside: system.get_file(path, str(aside)), suffix=suffix)
    except HeadstartError:
        raise
    except Exception as error:  # each store has its own errors, and many are no OSError
        raise _unreachable(url, error) from error


def walk_store(url: str) -> Listing:
    """Everything below a folder of a store.

    Raises:
        DataError: it is not there, or the store cannot be reached.
        MissingExtraError: a package for this kind of store is not installed.
    """
    system, root = _system_of(url)
    try:
        found: dict[str, dict[str, Any]] = system.find(root, detail=True)
    except Exception as error:  # as above
        raise _unreachable(url, error) from error
    start = root.rstrip("/") + "/" if root else ""
    listing = Listing()
    for path in sorted(found):
        if not path.startswith(start) or path == start:
            continue
        inside = path.removeprefix(start)
        name = PurePosixPath(unquote(inside) if _is_web(url) else inside)
        if not name.parts or ".." in name.parts:
            continue
        listing.folders |= {parent for parent in name.parents if parent.parts}
        full = system.unstrip_protocol(path)
        listing.add_file(
            Member(name, None, location=StoredImage(full, _state_of(found[path]))),
            partial(_start_of, system, path),
        )
    return listing


def _start_of(system: Any, path: str) -> bytes:  # noqa: ANN401 - fsspec has no types
    try:
        return bytes(system.cat_file(path, start=0, end=FIRST_BYTES))
    except Exception as error:  # as above
        raise OSError(str(error) or type(error).__name__) from error


def _fetch(url: str) -> bytes:
    """The bytes of one object.

    Raises:
        OSError: it cannot be had, for whatever reason.
        HeadstartError: a package is missing.
    """
    system, path = _system_of(url)
    try:
        return bytes(system.cat_file(path))
    except OSError:
        raise
    except Exception as error:  # each store has its own errors
        raise OSError(f"{url} cannot be fetched ({str(error) or type(error).__name__})") from error


def _system_of(url: str) -> tuple[Any, str]:
    """(file system, path in it) of a URL.

    Raises:
        MissingExtraError: a package for this kind of store is not installed.
        DataError: nobody knows such a store.
    """
    fsspec = require("fsspec", extra="hub")
    protocol = url.partition("://")[0].rpartition("::")[2].lower()
    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        package = _PACKAGES.get(protocol, "")
        remedy = f"pip install {package}" if package else str(error).splitlines()[0]
        raise MissingExtraError(f"{url} needs a package that is not installed", remedy=remedy) from error
    except Exception as error:  # as above; an unknown protocol is a ValueError
        raise DataError(
            f"{url} cannot be opened ({str(error).splitlines()[0] if str(error) else type(error).__name__})",
            expected="a store that fsspec knows, such as s3://, gs://, az://, https:// or file://",
        ) from error
    return system, str(path)


def _state_of(info: dict[str, Any]) -> str:
    return " ".join(f"{name}={info[name]}" for name in _STATES if info.get(name) is not None)


def _is_web(url: str) -> bool:
    return url.startswith(("http://", "https://"))


def _unreachable(url: str, error: Exception) -> DataError:
    # fsspec calls a web server that cannot be reached a file that is not found.
    is_down = isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, FileNotFoundError)
    if isinstance(error, FileNotFoundError) and not is_down:
        return DataError(f"{url} does not exist", expected="a folder or file of the store that you may read")
    reason = (str(error) or type(error).__name__).splitlines()[0][:200]
    return DataError(
        f"{url} cannot be read ({reason})",
        expected="a store that can be reached, and the right to read it",
        remedy="check the network and your credentials, or copy the images to this disk",
    )
