"""Put a backup back: chosen and checked at once, then carried out application by application.

What is under way is noted in one file, so that a run that was cut off is continued by the next. An
application's data is fetched beside what is there; only when all of it has come does it take its place, and
what it replaced stays until the applications answer again.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import databases
import folders
import places
from folders import Place
from repository import Repository
from words import refuse

# Restoring keeps the old beside the new; indexes and the log of writes take room besides.
DATABASE_ROOM = 2.5

UNITS = Path("/etc/systemd/system")
# A condition that is never met keeps a unit stopped, whoever wants it started.
HELD = "restoring.conf"
HELD_TEXT = "[Unit]\nConditionPathExists=/nonexistent\n"

# How far an application has come, in this order.
FETCHED, EMPTIED, MOVED = "fetched", "emptied", "moved"


def begin(settings: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """Choose a backup, refuse what cannot or should not be, and note what is to be restored.

    Args:
        settings: this server's.
        request: ``at`` (a moment, empty for the last backup), ``application`` (empty for all),
            ``overwrite``, ``drill`` (the server is a spare one and goes on making no backups), ``versions``
            (of the applications that the inventory has here, by name) and ``look_only``.

    Raises:
        RefusalError: in one sentence, before anything is changed.
    """
    asked = {name: request.get(name, "") for name in ("at", "application")}
    under_way = places.load(places.RESTORING, None)
    if under_way:
        if under_way["asked"] != asked:
            refuse("other_restore", time=under_way["time"])
        return {"changed": False, **_shown(under_way)}
    repository = Repository(settings)
    snapshot = choose(settings, repository, request.get("at", ""))
    manifest = read_manifest(repository, snapshot)
    applications = wanted(manifest, request)
    _check_versions(manifest, applications, request["versions"])
    records = places.records()
    in_use = [manifest["applications"][name]["title"] for name in applications if name in records]
    if in_use and not request.get("overwrite"):
        refuse("newer", titles=", ".join(in_use), host=settings["host"], time=manifest["time"])
    sources = [] if request.get("application") else sorted(manifest["sources"])
    _check_room(repository, snapshot["id"], manifest, applications, sources)
    noted = {
        "asked": asked,
        "snapshot": snapshot["id"],
        "time": manifest["time"],
        "installation": snapshot["installation"],
        "drill": bool(request.get("drill")),
        "begun": places.now().isoformat(),
        "left": [*(f"source {name}" for name in sources), *applications],
        "done": [],
        "phases": {},
        "not_here": sorted(manifest["applications"].keys() - request["versions"].keys()),
        "manifest": manifest,
    }
    if not request.get("look_only"):
        places.save(places.RESTORING, noted)
    return {"changed": True, **_shown(noted)}


def choose(settings: dict[str, Any], repository: Repository, at: str) -> dict[str, Any]:
    """Return the last snapshot, or the last one at a moment.

    Raises:
        RefusalError: there is none.
    """
    snapshots = repository.snapshots()
    if not snapshots:
        refuse("empty", where=settings["where"], host=settings["host"])
    if not at:
        return snapshots[-1]
    until = moment(at)
    then = [found for found in snapshots if _time(found) <= until]
    if not then:
        refuse(
            "none_then",
            at=at,
            host=settings["host"],
            oldest=f"{_time(snapshots[0]).astimezone():%Y-%m-%d %H:%M}",
        )
    return then[-1]


def moment(text: str) -> datetime.datetime:
    """Return the moment that somebody means; a day means its end.

    Raises:
        RefusalError: it is no moment.
    """
    try:
        found = datetime.datetime.fromisoformat(text.strip())
    except ValueError:
        refuse("moment", found=text)
    if re.fullmatch(r"\d{4}-?\d\d-?\d\d", text.strip()):
        found = found.replace(hour=23, minute=59, second=59)
    return found.astimezone()  # as this server's clock shows it, unless the text says otherwise


def _time(snapshot: dict[str, Any]) -> datetime.datetime:
    # restic writes more digits than Python reads.
    return datetime.datetime.fromisoformat(snapshot["time"][:19] + "+00:00")


def read_manifest(repository: Repository, snapshot: dict[str, Any]) -> dict[str, Any]:
    """Return what a snapshot says it holds."""
    found: dict[str, Any] = json.loads(
        repository.run("dump", "--no-lock", snapshot["id"], str(places.MANIFEST))
    )
    return found


def wanted(manifest: dict[str, Any], request: dict[str, Any]) -> list[str]:
    """Return the applications to restore: the one asked for, or all that the inventory has here.

    Raises:
        RefusalError: there is none of the name.
    """
    known = manifest["applications"]
    name = request.get("application")
    if not name:
        return [found for found in known if found in request["versions"]]
    if name not in known:
        refuse("unknown_application", name=name, known=", ".join(sorted(known)))
    if name not in request["versions"]:
        refuse("not_in_inventory", title=known[name]["title"], name=name)
    return [name]


def _check_versions(manifest: dict[str, Any], applications: list[str], pinned: dict[str, str]) -> None:
    """Refuse what is newer than what would run it: applications can go forward, seldom back."""
    for name in applications:
        found = manifest["applications"][name]
        if _version(found["version"]) > _version(pinned[name]):
            refuse("newer_version", title=found["title"], found=found["version"], pinned=pinned[name])
        if found["postgresql"] > (here := _postgresql_here()):
            refuse("newer_postgresql", title=found["title"], found=found["postgresql"], here=here)


def _postgresql_here() -> int:
    """Return the major version of PostgreSQL that is, or would be, installed here."""
    shown = subprocess.run(
        ["apt-cache", "policy", "postgresql"], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"Candidate: (\d+)", shown)
    return int(found[1]) if found else 10**6


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text)))


def _check_room(
    repository: Repository,
    snapshot: str,
    manifest: dict[str, Any],
    applications: list[str],
    sources: list[str],
) -> None:
    """Refuse when what comes does not fit beside what is there, on any of the disks it goes to."""
    needed: dict[int, tuple[Path, float]] = {}

    def add(path: Path, much: float) -> None:
        disk = folders.device(path)
        needed[disk] = (needed.get(disk, (path, 0))[0], needed.get(disk, (path, 0))[1] + much)

    for name in applications:
        found = manifest["applications"][name]
        for dumped in found["databases"]:
            add(Path("/var/lib/postgresql"), dumped["bytes"] * DATABASE_ROOM)
    comes = folders.sizes(repository, snapshot, _places(manifest, applications, sources))
    for place, much in comes.items():
        add(place.here, much)
    for path, much in needed.values():
        left = folders.free(path)
        if left < much:
            refuse("no_room", path=path, needed=_megabytes(much), left=_megabytes(left))


def _places(manifest: dict[str, Any], applications: list[str], sources: list[str]) -> list[Place]:
    found = [place for name in applications for place in manifest["applications"][name]["places"]]
    found += [place for name in sources for place in manifest["sources"][name]]
    return [Place(**place) for place in found]


def _megabytes(count: float) -> int:
    return round(count / 1_000_000)


def _shown(noted: dict[str, Any]) -> dict[str, Any]:
    return {name: noted[name] for name in ("snapshot", "time", "left", "not_here", "begun")}


# --- carrying it out


def application(settings: dict[str, Any], declaration: dict[str, Any]) -> dict[str, Any]:
    """Put back an application's data, if a restore is under way that has not come to it; it is left stopped.

    Args:
        settings: this server's.
        declaration: the application's, as it is to run from now on.

    Raises:
        RefusalError: it failed; what was there before is still there.
    """
    name = declaration["name"]
    noted = places.load(places.RESTORING, None)
    if not noted or name not in noted["left"]:
        return {"changed": False}
    units = [f"{service['name']}.service" for service in declaration["services"]]
    hold(units)
    # What they kept in memory is of what was there before. It is kept nowhere else, so a restart empties it.
    caches = [f"{cache['name']}-{cache['engine']}.service" for cache in declaration.get("caches", [])]
    if caches:
        subprocess.run(["systemctl", "try-restart", *caches], check=False, capture_output=True)
    found = noted["manifest"]["applications"][name]
    own = [Place(**place) for place in found["places"]]

    def fetch(repository: Repository) -> None:
        for dumped in found["databases"]:
            file = places.DUMPS / f"{dumped['name']}.dump"
            databases.restore(repository, noted["snapshot"], dumped, file)

    def switch() -> None:
        for dumped in found["databases"]:
            databases.switch(dumped["name"])

    result = _carry_out(settings, noted, name, own, fetch, switch)
    release(units)
    return result


def source(settings: dict[str, Any], name: str) -> dict[str, Any]:
    """Put back what a platform role wants backed up, if a restore is under way and has not come to it yet.

    Raises:
        RefusalError: it failed; what was there before is still there.
    """
    noted = places.load(places.RESTORING, None)
    if not noted or f"source {name}" not in noted["left"]:
        return {"changed": False}
    own = [Place(**place) for place in noted["manifest"]["sources"][name]]
    return _carry_out(settings, noted, f"source {name}", own, lambda _: None, lambda: None)


def _carry_out(
    settings: dict[str, Any],
    noted: dict[str, Any],
    name: str,
    own: list[Place],
    fetch: Callable[[Repository], None],
    switch: Callable[[], None],
) -> dict[str, Any]:
    """Fetch, make room, move in; each step is noted when it is done, and can be begun again."""
    phase = noted["phases"].get(name, "")
    if not phase:
        repository = Repository(settings)
        folders.fetch(own, repository, noted["snapshot"], noted["manifest"]["owners"])
        fetch(repository)
        phase = _note(noted, name, FETCHED)
    if phase == FETCHED:
        for place in own:
            place.make_room()
        phase = _note(noted, name, EMPTIED)
    for place in own:
        place.move_in()
    switch()
    noted["left"].remove(name)
    noted["done"].append(name)
    _note(noted, name, MOVED)
    return {"changed": True}


def _note(noted: dict[str, Any], name: str, phase: str) -> str:
    noted["phases"][name] = phase
    places.save(places.RESTORING, noted)
    return phase


def hold(units: list[str]) -> None:
    """Stop units, and keep them from starting until released: after a power cut, with half of their data."""
    for unit in units:
        (folder := UNITS / f"{unit}.d").mkdir(exist_ok=True)
        (folder / HELD).write_text(HELD_TEXT, encoding="utf-8")
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    # Of those that are not there yet there is nothing to stop.
    subprocess.run(["systemctl", "stop", *units], check=False, capture_output=True)


def release(units: list[str]) -> None:
    """Let held units start again; they are left stopped."""
    for unit in units:
        (UNITS / f"{unit}.d" / HELD).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # somebody else's drop-ins stay
            (UNITS / f"{unit}.d").rmdir()
    subprocess.run(["systemctl", "daemon-reload"], check=True)


def finish() -> dict[str, Any]:
    """End a restore whose applications answer: remove what was replaced; backups go on where they ended.

    Raises:
        RefusalError: something has not been put back.
    """
    noted = places.load(places.RESTORING, None)
    if not noted:
        return {"changed": False}
    if noted["left"]:
        refuse("unfinished", left=", ".join(noted["left"]))
    manifest = noted["manifest"]
    applications = [name for name in noted["done"] if not name.startswith("source ")]
    sources = [name.removeprefix("source ") for name in noted["done"] if name.startswith("source ")]
    for place in _places(manifest, applications, sources):
        place.forget_replaced()
    tables = rows = 0
    for name in applications:
        for dumped in manifest["applications"][name]["databases"]:
            databases.forget_replaced(dumped["name"])
            tables += len(dumped["contents"])
            rows += sum(int(count) for count, _ in dumped["contents"].values())
    if not noted["drill"]:
        places.remember(installation=noted["installation"])
    places.RESTORING.unlink()
    took = places.now() - datetime.datetime.fromisoformat(noted["begun"])
    return {
        "changed": True,
        "snapshot": noted["snapshot"],
        "time": noted["time"],
        "seconds": round(took.total_seconds()),
        "done": noted["done"],
        "not_here": noted["not_here"],
        "tables": tables,
        "rows": rows,
    }


# --- looking


def extract(settings: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """Put one file, folder or table into a folder of its own, to look at; nothing else is touched.

    Args:
        settings: this server's.
        request: ``to`` (the folder), ``at``, and either ``file`` or ``table`` (``database.table``).

    Raises:
        RefusalError: there is no such thing in the backup.
    """
    target = Path(request["to"])
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        refuse("side_place", path=target)
    repository = Repository(settings)
    snapshot = choose(settings, repository, request.get("at", ""))
    manifest = read_manifest(repository, snapshot)
    if request.get("table"):
        path = _table(repository, snapshot["id"], manifest, request["table"], target)
    else:
        path = _file(repository, snapshot["id"], manifest, request["file"], target)
    return {"changed": True, "path": str(path), "time": manifest["time"]}


def _file(repository: Repository, snapshot: str, manifest: dict[str, Any], name: str, target: Path) -> Path:
    stored = name
    for place in (place for part in _everything(manifest) for place in part):
        if name == place["path"] or name.startswith(place["path"] + "/"):
            stored = place["stored"] + name.removeprefix(place["path"])
    repository.run("restore", "--no-lock", snapshot, f"--target={target}", f"--include={stored}")
    found = target / Path(stored).relative_to("/")
    if not found.exists() and not found.is_symlink():
        shutil.rmtree(target, ignore_errors=True)
        refuse("not_in_snapshot", path=name)
    folders.give(found, manifest["owners"])
    return found


def _everything(manifest: dict[str, Any]) -> list[list[dict[str, Any]]]:
    applications = manifest["applications"].values()
    return [
        *manifest["sources"].values(),
        *(found["places"] + found["configuration"] for found in applications),
    ]


def _table(repository: Repository, snapshot: str, manifest: dict[str, Any], name: str, target: Path) -> Path:
    database, _, table = name.partition(".")
    known = {
        found["name"]: found for part in manifest["applications"].values() for found in part["databases"]
    }
    tables = {text.rpartition(".")[2]: text for text in known.get(database, {"contents": {}})["contents"]}
    if table not in tables:
        refuse("no_table", name=name, databases=", ".join(sorted(known)) or "-")
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    file, path = target / f"{database}.dump", target / f"{name}.sql"
    with file.open("wb") as output:
        repository.run("dump", "--no-lock", snapshot, str(places.DUMPS / file.name), output=output)
    words = ["pg_restore", f"--table={table}", f"--file={path}", str(file)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    file.unlink()
    if done.returncode:
        refuse("database", name=database, said=" ".join(done.stderr.split()))
    return path


def listed(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the backups of this server there are."""
    found = Repository(settings).snapshots()
    return {
        "changed": False,
        "backups": [{"time": one["time"][:19], "snapshot": one["short_id"]} for one in found],
    }
