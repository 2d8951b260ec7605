"""Databases: dump them as they are at one moment, and put them back beside what is there.

Every table is counted and added up within the dump's own transaction, so that a restored database can be
compared with what was dumped, row for row, without knowing what the rows mean.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from repository import Repository, Watch
from words import refuse

# root may be the superuser over the socket; see the role postgresql.
SERVER = ("--host=/run/postgresql", "--username=postgres")
PSQL = ("psql", *SERVER, "--no-psqlrc", "--no-align", "--tuples-only", "--quiet", "--set=ON_ERROR_STOP=1")

RESTORED = "{}_restored"
REPLACED = "{}_replaced"

TABLES = """
select format('%I.%I', schemaname, tablename) from pg_tables
where schemaname not in ('pg_catalog', 'information_schema') order by 1;
"""
# hashtextextended is 64 bits wide; a sum does not mind the order of the rows.
ADDED_UP = "select '{0}', count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) from {1} t;"
SEQUENCES = """
select '(sequences)', count(*), coalesce(sum(hashtextextended(
  format('%I.%I %s', schemaname, sequencename, last_value), 0)::numeric), 0) from pg_sequences;
"""

Contents = dict[str, list[str]]


def ask(statement: str, **values: str) -> list[str]:
    """Return the rows of a statement of the superuser, their fields separated by ``|``.

    Args:
        statement: SQL, in which ``:'name'`` and ``:"name"`` stand for a value as a text and as an identifier.
        values: the values.

    Raises:
        RefusalError: the server does not answer, or not to this.
    """
    given = [f"--set={name}={value}" for name, value in values.items()]
    done = subprocess.run(
        [*PSQL, "--dbname=postgres", *given], input=statement, capture_output=True, text=True
    )
    if done.returncode:
        refuse("database", name=values.get("name", "postgres"), said=" ".join(done.stderr.split()))
    return done.stdout.splitlines()


def exists(name: str) -> bool:
    """Tell whether there is a database of this name."""
    return bool(ask("select 1 from pg_database where datname = :'name'", name=name))


def size(name: str) -> int:
    """Return how large a database is, in bytes."""
    return int(ask("select pg_database_size(:'name')", name=name)[0])


def major_version() -> int:
    """Return the server's major version."""
    return int(ask("show server_version_num")[0]) // 10000


class Session:
    """One transaction that sees its database as it was when it began."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Speak to the psql in *process*."""
        self.process = process

    def ask(self, statement: str) -> list[str]:
        """Return the rows of a statement."""
        to, answers = self.process.stdin, self.process.stdout
        rows: list[str] = []
        if to and answers:
            to.write(f"{statement.strip()}\n\\echo --end--\n")
            to.flush()
            for line in answers:
                if line == "--end--\n":
                    return rows
                rows.append(line.rstrip("\n"))
        refuse("database_went", said=" ".join(self.process.communicate()[1].split()))


@contextmanager
def session(database: str) -> Iterator[Session]:
    """Open a transaction that reads *database* as it is now."""
    with subprocess.Popen(
        [*PSQL, f"--dbname={database}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        opened = Session(process)
        opened.ask("begin isolation level repeatable read read only;")
        yield opened


def contents(opened: Session) -> Contents:
    """Return per table how many rows it has and what they add up to."""
    tables = opened.ask(TABLES)
    statements = [ADDED_UP.format(table.replace("'", "''"), table) for table in tables]
    rows = (opened.ask(statement)[0].rsplit("|", 2) for statement in [*statements, SEQUENCES])
    return {name: [count, total] for name, count, total in rows}


def dump(name: str, opened: Session, file: Path) -> dict[str, Any]:
    """Write a database to a file, as its session sees it.

    Returns:
        What the manifest says of it.

    Raises:
        RefusalError: it failed.
    """
    seen = opened.ask("select pg_export_snapshot();")[0]
    # Not compressed: restic does that, after it has found what has not changed.
    words = [
        "pg_dump",
        *SERVER,
        "--format=custom",
        "--compress=0",
        f"--snapshot={seen}",
        f"--file={file}",
        name,
    ]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        found = contents(opened)
        said = " ".join(process.communicate()[1].split())
    if process.returncode:
        refuse(
            "stage_full" if "No space left" in said else "database",
            name=name,
            said=said,
            where=str(file.parent),
        )
    return {"name": name, "bytes": size(name), "contents": found}


def restore(repository: Repository, snapshot: str, dumped: dict[str, Any], file: Path) -> None:
    """Put a dumped database back beside the one of its name, and compare it with what was dumped.

    Args:
        repository: where the dump is.
        snapshot: the snapshot's id.
        dumped: what the manifest says of it.
        file: the dump's path in the snapshot.

    Raises:
        RefusalError: it failed, or differs.
    """
    name = dumped["name"]
    beside = RESTORED.format(name)
    for left in (beside, REPLACED.format(name)):
        drop(left)
    made = 'create database :"beside" template template0 encoding \'UTF8\' owner :"name"'
    ask(made, beside=beside, name=name)
    with subprocess.Popen(
        repository.command("dump", "--no-lock", snapshot, str(file)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **repository.environment},
    ) as source:
        watch = Watch(source)
        said = _fill(beside, source.stdout)
        source.wait()
        watch.join()
    if source.returncode not in (0, -signal.SIGPIPE):  # which it gets when pg_restore has given up
        repository.refuse(watch)
    if said:
        refuse("database", name=name, said=said)
    with session(beside) as opened:
        found = contents(opened)
    wanted = dumped["contents"]
    wrong = sorted(table for table in {*found, *wanted} if found.get(table) != wanted.get(table))
    if wrong:
        refuse("differs", name=name, tables=", ".join(wrong[:5]))


def _fill(database: str, source: IO[bytes] | None) -> str:
    """Feed a dump to pg_restore; return what it said when it failed."""
    words = ["pg_restore", *SERVER, "--exit-on-error", f"--dbname={database}"]
    done = subprocess.run(words, stdin=source, capture_output=True, text=True)
    return " ".join(done.stderr.split()) or "pg_restore" if done.returncode else ""


def switch(name: str) -> None:
    """Let the restored database take the name, and keep the one before; may be begun again at any point."""
    beside, before = RESTORED.format(name), REPLACED.format(name)
    if not exists(beside):
        return
    if exists(name) and exists(before):
        # A run cut off here has moved the real one already; this one a playbook has made since, empty.
        drop(name)
    elif exists(name):
        # Whoever is still connected would be in the way.
        ask("select pg_terminate_backend(pid) from pg_stat_activity where datname = :'name'", name=name)
        ask('alter database :"name" rename to :"before"', name=name, before=before)
    ask('revoke all on database :"beside" from public', beside=beside)
    ask('alter database :"beside" rename to :"name"', beside=beside, name=name)


def forget_replaced(name: str) -> None:
    """Drop what a restored database replaced."""
    drop(REPLACED.format(name))


def drop(name: str) -> None:
    """Drop a database that may be there."""
    ask('drop database if exists :"name" with (force)', name=name)
