"""Make a fictional school of any size, as OneRoster 1.2 files: for the demo, the tests and the measurements.

The same seed gives the same school. Names are put together from common ones, with the accents and
prefixes that make class lists hard; nobody of them exists.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

PARTS: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("sample.yml").read_text(encoding="utf-8"))


def class_names(count: int) -> list[str]:
    """Return the names of a school's classes, from ``1A`` on, six years high."""
    per_year = -(-count // 6) if count > 6 else 1
    letters = [chr(ord("A") + number) for number in range(per_year)]
    return [f"{year}{letter}" for year in range(1, 7) for letter in letters][:count]


def write(
    folder: Path, *, pupils: int, classes: int, teachers: int, staff: int = 2, ict: int = 1, seed: int = 1
) -> None:
    """Write a school.

    Args:
        folder: where its files go; made when missing.
        pupils: how many pupils, spread evenly over the classes.
        classes: how many classes.
        teachers: how many teachers; each class has one, in turn.
        staff: how many others who work there.
        ict: how many ICT coordinators.
        seed: another seed gives other names.
    """
    names = class_names(classes)
    kinds = ["student"] * pupils + ["teacher"] * teachers + ["aide"] * staff + ["systemAdministrator"] * ict
    users: list[dict[str, str]] = []
    roles: list[dict[str, str]] = []
    enrollments: list[dict[str, str]] = []
    for number, kind in enumerate(kinds, start=1):
        user = f"u{number:05}"
        users.append(
            {
                "sourcedId": user,
                "enabledUser": "true",
                "username": user,
                "givenName": _pick(PARTS["given"], f"{seed} given {number}"),
                "familyName": _pick(PARTS["family"], f"{seed} family {number}"),
                "identifier": str(900000 + number),
                "primaryOrgSourcedId": "school",
            }
        )
        roles.append(
            {
                "sourcedId": f"r{number:05}",
                "userSourcedId": user,
                "roleType": "primary",
                "role": kind,
                "orgSourcedId": "school",
            }
        )
        for place in _classes_of(kind, number, pupils, teachers, classes):
            enrollments.append(
                {
                    "sourcedId": f"e{len(enrollments) + 1:05}",
                    "classSourcedId": f"c{place + 1:03}",
                    "schoolSourcedId": "school",
                    "userSourcedId": user,
                    "role": kind,
                    "primary": "true" if kind == "teacher" else "false",
                }
            )
    rooms = [
        {
            "sourcedId": f"c{number:03}",
            "title": name,
            "courseSourcedId": "homeroom",
            "classType": "homeroom",
            "schoolSourcedId": "school",
            "termSourcedIds": "year",
        }
        for number, name in enumerate(names, start=1)
    ]
    year = {"sourcedId": "year", "title": "2026-2027", "type": "schoolYear"}
    files: dict[str, list[dict[str, str]]] = {
        "orgs": [{"sourcedId": "school", "name": "Voorbeeldschool", "type": "school"}],
        "academicSessions": [
            year | {"startDate": "2026-09-01", "endDate": "2027-08-31", "schoolYear": "2027"}
        ],
        "courses": [{"sourcedId": "homeroom", "title": "Klas", "orgSourcedId": "school"}],
        "classes": rooms,
        "users": users,
        "roles": roles,
        "enrollments": enrollments,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in files.items():
        _file(folder / f"{name}.csv", PARTS["columns"][name], rows)
    manifest = {"manifest.version": "1.0", "oneroster.version": "1.2"}
    manifest |= {f"file.{name}": "bulk" for name in sorted(files)}
    lines = [{"propertyName": name, "value": value} for name, value in manifest.items()]
    _file(folder / "manifest.csv", ("propertyName", "value"), lines)


def _pick(names: Sequence[str], about: str) -> str:
    """Return one of the names, always the same for the same words."""
    return names[int.from_bytes(hashlib.sha256(about.encode()).digest()[:4]) % len(names)]


def _classes_of(kind: str, number: int, pupils: int, teachers: int, classes: int) -> Iterable[int]:
    """Return which classes someone is in, as numbers from 0."""
    if kind == "student":
        return [(number - 1) * classes // pupils]
    if kind == "teacher":
        return range((number - pupils - 1), classes, teachers)
    return []


def _file(path: Path, columns: Sequence[str], rows: Iterable[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, restval="", lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(rows)
