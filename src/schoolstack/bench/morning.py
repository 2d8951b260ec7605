"""Half past eight: a school signs in."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from schoolstack.bench.bench import Bench
from schoolstack.bench.memory import Memory, memory
from schoolstack.bench.report import Part, Row, percentile, spread
from schoolstack.deployment import Deployment
from schoolstack.errors import SchoolError
from schoolstack.roster import sample, sheets
from schoolstack.roster.model import ROLES
from schoolstack.signin import sign_in

TITLE = "Half past eight"
RUNS = 3
PUPILS = 300
# Pupils come within this time; the rest of the minute is for the last of them to be served, in seconds.
ARRIVE_WITHIN_S = 50
# At once, to find what the server can do at most.
AT_ONCE = 8
# Keycloak's own sizing guide: password logins per second and core.
PUBLISHED_PER_CORE = 15
HOW = """\
Keycloak {version} with its database, nginx and the start page on one test host, and {pupils} browsers,
all on the same {cores} cores. Pupils arrive spread over {within} s; each opens the start page, is led to
the login page, gives name and password, and is done when the start page greets: four pages over TLS,
each pupil with new connections and cookies. What a password costs is set by `keycloak_password_rounds`;
the reference of the role keycloak says how. Keycloak's sizing guide publishes its figure for Keycloak
alone, without browsers beside it.
"""


@dataclass(frozen=True)
class Arrival:
    """One pupil's sign-in: when it ended, how long it took, in seconds, and what went wrong."""

    ended: float
    took: float
    problem: str


def measure(bench: Bench) -> Part:
    """Let 300 pupils sign in within a minute, several times, and then as fast as they can."""
    deployment = bench.deployed()
    pupils = _enrol(bench, deployment)
    cores = os.cpu_count() or 1
    deployment.browser().close()  # asks the server what it has, once
    _rush(deployment, pupils[:AT_ONCE])  # Java compiles what it runs often: the first of a day wait longer
    minutes = [_morning(deployment, pupils, seed) for seed in range(RUNS)]
    largest = memory(deployment)
    rates: list[float] = []
    own: list[float] = []
    for _ in range(RUNS):
        started, used = time.monotonic(), _processor_time(deployment)
        _rush(deployment, pupils)
        rates.append(len(pupils) / (time.monotonic() - started))
        own.append(len(pupils) / (_processor_time(deployment) - used))
    problems = [arrival.problem for minute in minutes for arrival in minute if arrival.problem]
    last = [max(arrival.ended for arrival in minute) for minute in minutes]
    version = deployment.records["keycloak"]["version"]
    return Part(
        rows=[
            Row(f"{PUPILS} pupils served after", spread(last, "s"), "within 60 s", max(last) <= 60),
            Row("refused", str(len(problems)), "0", not problems),
            *(
                Row(f"{percent}th percentile", spread([_took(minute, percent) for minute in minutes], "s", 2))
                for percent in (50, 95)
            ),
            Row(f"as fast as it goes, {AT_ONCE} at once", spread(rates, "sign-ins per second")),
            Row(
                "sign-ins per second of Keycloak's own processor time",
                spread(own, "per core"),
                f"published: {PUBLISHED_PER_CORE}",
            ),
            *_memory_rows(largest),
        ],
        how=HOW.format(version=version, pupils=PUPILS, cores=cores, within=ARRIVE_WITHIN_S),
    )


def _enrol(bench: Bench, deployment: Deployment) -> list[tuple[str, str]]:
    """Give the pupils accounts whose password need not be changed; return names and passwords."""
    source, folder = bench.folder / "pupils", bench.folder / "pupil-sheets"
    sample.write(source, pupils=PUPILS, classes=15, teachers=15)
    deployment.play(
        "roster",
        roster_source=str(source),
        roster_sheets_dir=str(folder),
        roster_password_temporary=False,
        roster_apply=True,
    )
    pages = sheets.pages(folder, bench.inventory / ".vault-key")
    lines = [line for page in pages if page.sheet not in ROLES for line in page.lines]
    people = {line.username: line.password for line in lines}
    if len(people) < PUPILS:
        raise SchoolError(f"only {len(people)} of {PUPILS} pupils have a password on a sheet")
    return sorted(people.items())[:PUPILS]


def _morning(deployment: Deployment, pupils: Sequence[tuple[str, str]], seed: int) -> list[Arrival]:
    # Digests are as good as dice, and the same on every machine.
    dice = (hashlib.sha256(f"{seed} {name}".encode()).digest() for name, _ in pupils)
    times = [int.from_bytes(roll[:4]) / 2**32 * ARRIVE_WITHIN_S for roll in dice]
    arrivals: list[Arrival] = []
    started = time.monotonic()

    def pupil(name: str, password: str, due: float) -> None:
        time.sleep(max(0.0, started + due - time.monotonic()))
        arrivals.append(_sign_in(deployment, name, password, started))

    threads = [
        threading.Thread(target=pupil, args=(*who, due)) for who, due in zip(pupils, times, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return arrivals


def _rush(deployment: Deployment, pupils: Sequence[tuple[str, str]]) -> list[Arrival]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda who: _sign_in(deployment, who[0], who[1], 0.0), pupils))


def _sign_in(deployment: Deployment, name: str, password: str, started: float) -> Arrival:
    begun = time.monotonic()
    browser = deployment.browser()
    try:
        result = sign_in(browser, deployment.url("portal"), name, password)
        problem = (
            "" if result.arrived and result.page.status == 200 else result.message or str(result.page.status)
        )
    except SchoolError as error:
        problem = str(error)
    finally:
        browser.close()
    now = time.monotonic()
    return Arrival(now - started, now - begun, problem)


def _processor_time(deployment: Deployment) -> int:
    """Return the processor time that Keycloak has used since its start, in seconds."""
    return sum(map(int, deployment.shell("ps -u keycloak -o cputimes=").split()))


def _took(minute: Sequence[Arrival], percent: int) -> float:
    return percentile([arrival.took for arrival in minute], percent)


def _memory_rows(found: Memory) -> list[Row]:
    return [
        Row("Keycloak's memory after it", f"{found.keycloak_mb:.0f} MB (heap at most {found.heap_mb} MB)"),
        Row(
            "of the bound set for it",
            f"{found.keycloak_mb / found.bound_mb:.0%} of {found.bound_mb} MB",
            "",
            True,
        ),
        Row(
            "the whole host's memory",
            f"{found.host_mb:.0f} MB",
            "a 4 GB board holds it",
            found.host_mb < 3500,
        ),
    ]
