"""Make a backup, look whether the repository is sound, and thin out what is old."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import databases
import folders
import places
from folders import Place
from repository import AHEAD, TAG, Repository
from words import RefusalError, refuse

Record = dict[str, Any]


def back_up(settings: dict[str, Any]) -> dict[str, Any]:
    """Make one backup of everything that this server's applications and roles declare.

    Raises:
        RefusalError: in one sentence, which the state keeps as well.
    """
    started = time.monotonic()
    if places.RESTORING.exists():
        refuse("restore_under_way", time=places.load(places.RESTORING, {})["time"])
    state = places.load(places.STATE, {})
    try:
        if state.get("running"):  # the last one was cut off, and may have left a lock
            Repository(settings).run("unlock")
        places.remember(running=True)
        done = _back_up(settings, state)
    except RefusalError as refusal:
        places.remember(running=False, last={"time": _now(), "sentence": str(refusal)})
        raise
    finally:
        shutil.rmtree(places.STAGE, ignore_errors=True)
    done["seconds"] = round(time.monotonic() - started, 1)
    places.remember(running=False, last={"time": done["time"], "sentence": ""}, last_good=done)
    return {"changed": True, **done}


def _back_up(settings: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    repository = Repository(settings)
    before = repository.snapshots()
    if before and state.get("installation") not in {found["installation"] for found in before}:
        refuse("not_ours", host=settings["host"], where=settings["where"], time=before[-1]["time"][:19])
    found = places.records()
    if not before:
        _send_ahead(repository, settings, state, found)
    sources = platform_sources()
    shutil.rmtree(places.STAGE, ignore_errors=True)
    places.DUMPS.mkdir(mode=0o700, parents=True)
    # By itself restic compares with the last one of the same paths, and without one reads everything anew.
    parent = [f"--parent={one['id']}" for one in (before or repository.everything())[-1:]]
    with paused(found):
        moment = places.now()
        manifest = {
            "format": 1,
            "school": settings["school"],
            "host": settings["host"],
            "time": moment.isoformat(),
            "installation": state["installation"],
            "owners": folders.numbers(),
            "applications": dump_all(found),
            "sources": {
                name: [Place.of(path).described() for path in paths] for name, paths in sources.items()
            },
        }
        places.save(places.MANIFEST, manifest)
        said = repository.run(
            *_words(settings, state),
            f"--time={moment:%Y-%m-%d %H:%M:%S}",
            *parent,
            *("--", *sorted({str(places.STAGE), str(places.RECORDS), *paths_of(manifest)})),
        )
    summary = json.loads(said.splitlines()[-1])
    return {
        "time": moment.isoformat(),
        "snapshot": summary["snapshot_id"],
        "files": summary["total_files_processed"],
        "bytes": summary["total_bytes_processed"],
        "added": summary["data_added"],
    }


def _words(settings: dict[str, Any], state: dict[str, Any]) -> list[str]:
    """Return the beginning of restic's command for whatever is sent."""
    tags = (TAG, f"school={settings['school']}", f"installation={state['installation']}")
    return [
        *("backup", "--json", f"--host={settings['host']}"),
        *(f"--tag={name}" for name in tags),
        *(f"--exclude={name}*" for name in (folders.RESTORED, folders.REPLACED)),
    ]


def _send_ahead(
    repository: Repository, settings: dict[str, Any], state: dict[str, Any], found: dict[str, Record]
) -> None:
    """Send what people keep in applications that stand still for a backup, while they still run.

    So they need not stand still for as long as it takes to send everything once. Where it is cut off, the
    next one goes on; what changes meanwhile is sent again by the backup that follows.
    """
    pausing = [record["paths"].get("files") for record in found.values() if record["backup"].get("before")]
    kept = sorted(str(Place.of(path).here) for path in pausing if path)
    if not kept:
        return
    try:
        repository.run(*_words(settings, state), f"--tag={AHEAD}", "--", *kept)
    except RefusalError as refusal:
        # So restic ends when a file went while it looked. What is really wrong, the backup says as well.
        if refusal.key != "restic":
            raise


def paths_of(manifest: dict[str, Any]) -> list[str]:
    """Return where everything really is that a manifest names."""
    places_of = [place for named in manifest["sources"].values() for place in named]
    for application in manifest["applications"].values():
        places_of += [*application["places"], *application["configuration"]]
    return [place["stored"] for place in places_of]


def platform_sources() -> dict[str, list[str]]:
    """Return the paths that platform roles want backed up and that exist, by role."""
    wanted = {file.stem: places.load(file, {})["paths"] for file in sorted(places.SOURCES.glob("*.json"))}
    return {name: [path for path in paths if Place.of(path).here.exists()] for name, paths in wanted.items()}


def dump_all(found: dict[str, Record]) -> dict[str, Any]:
    """Dump every application's databases as they are now; return what the manifest says of each application.

    Raises:
        RefusalError: a database or a path is missing, or there is no room.
    """
    names = [database["name"] for record in found.values() for database in record.get("databases", [])]
    needed, left = sum(map(databases.size, names)), folders.free(places.DUMPS)
    if left < needed:
        refuse("stage_full", name=", ".join(names), where=str(places.DUMPS), said=f"{left} < {needed}")
    with ExitStack() as stack:
        # All are opened before the first is dumped: that is the moment the backup shows.
        sessions = {name: stack.enter_context(databases.session(name)) for name in names}
        for opened in sessions.values():
            opened.ask("select 1;")
        return {name: _described(record, sessions) for name, record in found.items()}


def _described(record: Record, sessions: dict[str, databases.Session]) -> dict[str, Any]:
    own = [record["paths"][kind] for kind in ("data", "files") if kind in record["paths"]]
    kept = [*own, *record["backup"].get("paths", [])]
    for path in kept:
        if not Place.of(path).here.exists():
            refuse("path_missing", title=record["title"], path=path)
    dumped = [
        databases.dump(name, sessions[name], places.DUMPS / f"{name}.dump")
        for name in (database["name"] for database in record.get("databases", []))
    ]
    return {
        "title": record["title"],
        "version": record["version"],
        "places": [Place.of(path).described() for path in kept],
        # Made by playbooks out of the inventory: to look at, not to put back.
        "configuration": [Place.of(record["paths"]["config"]).described()]
        if "config" in record["paths"]
        else [],
        "databases": dumped,
        "postgresql": databases.major_version() if dumped else 0,
    }


# --- what applications do before and after


@contextlib.contextmanager
def paused(found: dict[str, Record]) -> Iterator[None]:
    """Let applications do what they declare before a backup, and after it in any case."""
    resume()
    pausing = [
        record for record in found.values() if record["backup"].get("before") or record["backup"].get("after")
    ]
    try:
        for record in pausing:
            # Noted first: a power cut in the middle of it is made good by the server's next start.
            noted = places.load(places.PAUSED, [])
            after = {"user": record["user"], "commands": record["backup"].get("after", [])}
            places.save(places.PAUSED, [*noted, after])
            for command in record["backup"].get("before", []):
                as_user(record["user"], command)
        yield
    finally:
        resume()


def resume() -> dict[str, Any]:
    """Let go on what was paused for a backup.

    Raises:
        RefusalError: one of the commands failed; the others were given all the same.
    """
    noted = places.load(places.PAUSED, [])
    failed = []
    for after in noted:
        for command in after["commands"]:
            try:
                as_user(after["user"], command)
            except RefusalError as refusal:
                failed.append(str(refusal))
    places.PAUSED.unlink(missing_ok=True)
    if failed:
        raise RefusalError(" ".join(failed))
    return {"changed": bool(noted)}


def as_user(user: str, command: str) -> None:
    """Run an application's own command as its user, outside of this program's confinement.

    Raises:
        RefusalError: it failed.
    """
    words = [
        "systemd-run",
        "--quiet",
        "--wait",
        "--pipe",
        "--collect",
        f"--uid={user}",
        "/bin/sh",
        "-c",
        command,
    ]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        refuse("hook", command=command, said=" ".join(done.stderr.split())[-300:])


# --- afterwards


def check(settings: dict[str, Any], whole: bool = False) -> dict[str, Any]:
    """Read a share of the repository, another one every time, or all of it, and see whether it is sound.

    Raises:
        RefusalError: something in it is damaged.
    """
    shares, before = settings["check_shares"], places.load(places.STATE, {}).get("check", {})
    share = 0 if whole else before.get("share", 0) % shares + 1
    part = "100%" if whole else f"{share}/{shares}"
    # What was found damaged stays so until just that is found sound.
    damaged, sentence = before.get("damaged", -1), before.get("sentence", "")
    try:
        # Nobody else writes to this server's own repository, so there is nothing to lock out.
        Repository(settings).run("check", "--no-lock", f"--read-data-subset={part}")
        if whole or share == damaged:
            damaged, sentence = -1, ""
    except RefusalError as refusal:
        if refusal.key != "damage":
            raise
        damaged, sentence = share, str(refusal)
    checked = {"time": _now(), "share": share or before.get("share", 0), "of": shares}
    places.remember(check={**checked, "damaged": damaged, "sentence": sentence})
    if damaged == share:
        raise RefusalError(sentence, "damage")
    return {"changed": False, "checked": part}


def thin_out(settings: dict[str, Any]) -> dict[str, Any]:
    """Remove what is older than it is to be kept, where this server may remove anything."""
    if settings["append_only"]:
        return {"changed": False}
    repository = Repository(settings)
    if any(found["time"][:19] > f"{places.now():%Y-%m-%dT%H:%M:%S}" for found in repository.snapshots()):
        refuse("from_the_future", where=settings["where"])
    repository.run(
        "forget",
        "--prune",
        f"--host={settings['host']}",
        "--group-by=host",
        f"--tag={TAG}",
        *settings["keep"],
    )
    return {"changed": True}


def run(settings: dict[str, Any]) -> dict[str, Any]:
    """Do the night's work: back up, look after a share of the repository, thin out."""
    done = back_up(settings)
    check(settings)
    thin_out(settings)
    return done


def start(settings: dict[str, Any]) -> dict[str, Any]:
    """Have a repository and a name for this installation; asks nothing of it where that is done."""
    state = places.load(places.STATE, {})
    if state.get("repository") == settings["repository"] and state.get("where") == settings["where"]:
        return {"changed": False}
    return {"changed": True, "made": _have_repository(settings)}


def _have_repository(settings: dict[str, Any]) -> bool:
    """Make the repository where there is none, and remember where it is; return whether it was made."""
    repository = Repository(settings)
    made = True
    try:
        # Not a look first: at an S3 bucket that is not there yet, restic would look for a quarter of an hour.
        repository.run("init")
    except RefusalError as refusal:
        if refusal.key != "exists":
            raise
        made = False
        repository.snapshots()
    state = places.load(places.STATE, {})
    # What is known of backups is of those in the repository before this one.
    anew: dict[str, Any] = {"last_good": {}, "last": {}, "check": {}} if made else {}
    places.remember(
        installation=state.get("installation") or str(uuid.uuid4()),
        since=_now() if made else state.get("since") or _now(),
        repository=settings["repository"],
        where=settings["where"],
        **anew,
    )
    return made


def adopt(settings: dict[str, Any]) -> dict[str, Any]:
    """Go on where the last backup ends, whoever made it; without a repository, make one."""
    made = _have_repository(settings)
    before = places.load(places.STATE, {})["installation"]
    found = Repository(settings).snapshots()
    now = found[-1]["installation"] if found else before
    places.remember(installation=now)
    return {"changed": made or now != before, "made": made}


def _now() -> str:
    return places.now().isoformat()
