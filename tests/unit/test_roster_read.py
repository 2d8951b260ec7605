"""What a class list says is read the same, whatever its shape, separator and encoding."""

from __future__ import annotations

import datetime
import zipfile
from pathlib import Path

import pytest

from schoolstack.roster import sample, table
from schoolstack.roster.model import School
from schoolstack.roster.reader import read

TODAY = datetime.date(2026, 9, 1)
TEXT = "Stamnummer;Roepnaam;Tussenvoegsel;Achternaam;Klas\n100;Noor;van;Damme;1/2A\n101;Zoë;;Peeters;1B\n"


def people(school: School) -> list[tuple[str, str, str, list[str]]]:
    return [(one.source_id, one.given_name, one.family_name, sorted(one.classes)) for one in school.people]


@pytest.mark.parametrize("separator", [";", ",", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_separators_encodings_and_line_endings(
    separator: str, encoding: str, ending: str, tmp_path: Path
) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(TEXT.replace(";", separator).replace("\n", ending).encode(encoding))
    school = read(path, today=TODAY)
    assert people(school) == [("100", "Noor", "van Damme", ["1-2A"]), ("101", "Zoë", "Peeters", ["1B"])]
    assert school.classes == {"1-2A", "1B"}
    assert [person.place.line for person in school.people] == [2, 3]


def test_quotes_line_breaks_and_excels_separator_line(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text('sep=;\nid;voornaam;achternaam;klas\n1;"Ann, An";"Van\nDamme";1A\n2;Jef;Bos;1A\n')
    school = read(path, today=TODAY)
    assert [(one.name, one.place.line) for one in school.people] == [("Ann, An Van Damme", 3), ("Jef Bos", 5)]


@pytest.mark.parametrize("name", [path.stem for path in sorted(table.MAPS.glob("*.yml"))])
def test_each_shipped_map_reads_its_own_first_line(name: str, tmp_path: Path) -> None:
    chosen = table.load_map(name)
    columns = {field: names[0] for field, names in chosen.columns.items()}
    known = {
        "source_id": "7",
        "given_name": "Noor",
        "family_name": "Damme",
        "classes": "1A",
        "school_id": "7",
    }
    known |= {"role": next(iter(chosen.roles), ""), "email": "noor@school.example"}
    row = {column: known.get(field, "") for field, column in columns.items()}
    row |= {columns[field]: known[field] for field in ("source_id", "given_name", "family_name")}
    path = tmp_path / "list.csv"
    path.write_text(";".join(row) + "\n" + ";".join(row.values()) + "\n", encoding="utf-8")
    (person,) = read(path, today=TODAY).people
    assert (person.source_id, person.name, person.classes) == ("7", "Noor Damme", {"1A"})
    assert person.roles == {"pupil"}
    assert not person.username


def test_roles_several_classes_and_leavers_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(
        "id;voornaam;achternaam;rol;klas;uitschrijfdatum\n"
        "1;Els;Maes;Leraar;1A+1B;\n2;Jan;Bos;;1A;30/06/2026\n3;Ann;Bos;;1A;30/06/2027\n",
        encoding="utf-8",
    )
    school = read(path, today=TODAY)
    assert people(school) == [("1", "Els", "Maes", ["1A", "1B"]), ("3", "Ann", "Bos", ["1A"])]
    assert school.people[0].roles == {"teacher"}


def export(folder: Path, **changes: str) -> Path:
    files = {
        "manifest": "propertyName,value\noneroster.version,1.1\nfile.users,bulk\n",
        "users": (
            "sourcedId,status,enabledUser,role,givenName,familyName,identifier,userIds,email\n"
            'u1,active,true,student,Noor,Damme,900,"{LDAP:x},{eck:https://ketenid.nl/202609/abc}",\n'
            "u2,tobedeleted,true,student,Jef,Bos,901,,\n"
            "u3,,false,student,Ann,Bos,902,,\n"
            "u4,,true,administrator,Els,Maes,903,,els@school.example\n"
            "u5,,true,parent,Bea,Damme,,,\n"
        ),
        "classes": (
            "sourcedId,status,title,classType\n"
            "c1,,1A,homeroom\nc2,,Maths,scheduled\nc3,tobedeleted,9Z,homeroom\n"
        ),
        "enrollments": (
            "sourcedId,classSourcedId,userSourcedId,role,beginDate,endDate\n"
            "e1,c1,u1,student,2026-09-01,2027-08-31\ne2,c2,u1,student,,\ne3,c3,u1,student,,\n"
            "e4,c1,u4,teacher,,2025-08-31\n"
        ),
    } | changes
    folder.mkdir()
    for name, content in files.items():
        (folder / f"{name}.csv").write_text(content, encoding="utf-8")
    return folder


def test_oneroster_1_1(tmp_path: Path) -> None:
    school = read(export(tmp_path / "x"), today=TODAY)
    assert people(school) == [("u1", "Noor", "Damme", ["1A"]), ("u4", "Els", "Maes", [])]
    assert school.classes == {"1A"}
    noor, els = school.people
    assert (noor.eck_id, noor.school_id) == ("https://ketenid.nl/202609/abc", "900")
    assert els.roles == {"staff"}


def test_without_home_rooms_every_class_is_one(tmp_path: Path) -> None:
    classes = "sourcedId,status,title,classType\nc1,,1A,\nc2,,Maths,scheduled\nc3,,9Z,\n"
    assert read(export(tmp_path / "x", classes=classes), today=TODAY).classes == {"1A", "Maths", "9Z"}


def test_guardians_come_only_when_asked_for(tmp_path: Path) -> None:
    school = read(export(tmp_path / "x"), today=TODAY, guardians=True)
    assert [one.given_name for one in school.people if "guardian" in one.roles] == ["Bea"]


def test_oneroster_1_2_roles_and_called_names(tmp_path: Path) -> None:
    path = export(
        tmp_path / "x",
        manifest="propertyName,value\noneroster.version,1.2\nfile.users,bulk\n",
        users=(
            "sourcedId,enabledUser,givenName,familyName,preferredGivenName,userMasterIdentifier\n"
            "u1,true,Eleonora,Damme,Noor,https://ketenid.nl/202609/x\nu4,true,Els,Maes,,\nu5,true,Jan,Weg,,\n"
        ),
        roles=(
            "userSourcedId,role,beginDate,endDate\nu1,student,,\nu4,teacher,,\nu4,systemAdministrator,,\n"
            "u5,teacher,,2026-08-31\n"
        ),
    )
    noor, els = read(path, today=TODAY).people
    assert (noor.name, noor.eck_id) == ("Noor Damme", "https://ketenid.nl/202609/x")
    assert els.roles == {"teacher", "ict"}


@pytest.mark.parametrize("wrapped", ["", "export/"])
def test_a_zip_reads_like_its_folder(wrapped: str, tmp_path: Path) -> None:
    folder = export(tmp_path / "x")
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, wrapped + file.name)
    assert read(path, today=TODAY) == read(folder, today=TODAY)


def test_the_sample_school_is_what_was_asked_for_and_always_the_same(tmp_path: Path) -> None:
    for name in ("one", "two"):
        sample.write(tmp_path / name, pupils=60, classes=3, teachers=6, staff=2, ict=2)
    first, second = (read(tmp_path / name, today=TODAY) for name in ("one", "two"))
    assert first == second
    roles = [next(iter(person.roles)) for person in first.people]
    assert {role: roles.count(role) for role in roles} == {"pupil": 60, "teacher": 6, "staff": 2, "ict": 2}
    sizes = [
        sum(name in one.classes and "pupil" in one.roles for one in first.people) for name in first.classes
    ]
    assert sizes == [20, 20, 20]


def test_the_demo_school_is_the_sample(tmp_path: Path) -> None:
    committed = Path(__file__).parents[2] / "inventories/demo/class-list"
    sample.write(tmp_path / "x", pupils=60, classes=3, teachers=6, staff=2, ict=1)
    for file in (tmp_path / "x").iterdir():
        assert (committed / file.name).read_bytes() == file.read_bytes()
