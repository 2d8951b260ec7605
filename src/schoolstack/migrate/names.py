"""Names that Nextcloud refuses, and names that Windows clients refuse although Nextcloud takes them."""

from __future__ import annotations

import hashlib
import re

# nextcloud/server lib/private/Files/FilenameValidator.php: what it refuses unless a school asks for more.
MAX_NAME_BYTES = 250
_NEXTCLOUD_NAMES = frozenset({".htaccess"})
_NEXTCLOUD_ENDINGS = (".part", ".filepart")
_NEXTCLOUD_SIGNS = re.compile(r"[\x00-\x1f\\/]")
# oc_filecache.path in nextcloud/server core/Migrations.
MAX_PATH_BYTES = 4000
# Microsoft, "Naming Files, Paths, and Namespaces"; 260 with the folder of the client on a disk before it, for
# which 60 are counted.
_WINDOWS_SIGNS = re.compile(r'[\x00-\x1f<>:"|?*\\]')
_WINDOWS_NAMES = re.compile(r"(?:con|prn|aux|nul|com[1-9¹²³]|lpt[1-9¹²³])(?:\..*)?", re.IGNORECASE)
MAX_WINDOWS_PATH = 200


def nextcloud_refuses(name: str) -> bool:
    """Tell whether Nextcloud refuses a file or folder of this name."""
    return (
        name.strip() in ("", ".", "..")
        or len(name.encode("utf-8", "surrogateescape")) > MAX_NAME_BYTES
        or name.casefold() in _NEXTCLOUD_NAMES
        or name.casefold().endswith(_NEXTCLOUD_ENDINGS)
        or bool(_NEXTCLOUD_SIGNS.search(name))
    )


def windows_refuses(path: str) -> str:
    """Return why a Windows client does not take a path: ``windows_name``, ``windows_path`` or nothing."""
    for name in path.split("/"):
        if _WINDOWS_SIGNS.search(name) or _WINDOWS_NAMES.fullmatch(name) or name != name.rstrip(". "):
            return "windows_name"
    return "windows_path" if len(path) > MAX_WINDOWS_PATH else ""


def acceptable(path: str) -> str:
    """Return a path that Nextcloud takes; the same where it takes that one."""
    return "/".join(_acceptable(name) if nextcloud_refuses(name) else name for name in path.split("/"))


def _acceptable(name: str) -> str:
    better = _NEXTCLOUD_SIGNS.sub("_", name)
    if better.strip() in ("", ".", ".."):
        better = "_" + better.strip()
    if better.casefold() in _NEXTCLOUD_NAMES or better.casefold().endswith(_NEXTCLOUD_ENDINGS):
        better += "_"
    if len(better.encode("utf-8", "surrogateescape")) > MAX_NAME_BYTES:
        stem, dot, ending = better.rpartition(".")
        if not stem or len(ending) > 10:
            stem, dot, ending = better, "", ""
        # Two long names that begin alike stay two.
        mark = "~" + hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:6]
        room = MAX_NAME_BYTES - len((mark + dot + ending).encode())
        better = stem.encode("utf-8", "ignore")[:room].decode("utf-8", "ignore") + mark + dot + ending
    return better


def beside(path: str, origin: str) -> str:
    """Return the path that a file gets next to another of its name, such as ``a (OneDrive).docx``."""
    folder, slash, name = path.rpartition("/")
    stem, dot, ending = name.rpartition(".")
    if not stem:
        stem, dot, ending = name, "", ""
    return f"{folder}{slash}{stem} ({origin}){dot}{ending}"
