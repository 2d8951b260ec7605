"""Read the text files of a class list: their encoding, their separators, their lines.

Whatever cannot be read with certainty is refused with its line, never guessed: a wrong guess here would be
printed on every report for years.
"""

from __future__ import annotations

import codecs
import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from schoolstack.roster.model import Place, Refusal, RosterRefusedError

# A school of 5,000 people is about 1 MB; beyond this it is some other file.
MAX_FILE_BYTES = 64 * 1024 * 1024
# Longer than any name, address or list of references that a class list holds.
MAX_FIELD_CHARS = 2000
SEPARATORS = (";", ",", "\t")
# What stands in people's names beside letters, marks and spaces. Keycloak's user profile takes no others
# (its validator person-name-prohibited-characters).
NAME_SIGNS = frozenset(
    "-'`.,·0123456789\N{RIGHT SINGLE QUOTATION MARK}\N{MODIFIER LETTER APOSTROPHE}\N{ACUTE ACCENT}"
)


@dataclass(frozen=True)
class Row:
    """One record: the line it begins on, and its fields by column name."""

    line: int
    fields: dict[str, str]


@dataclass(frozen=True)
class Table:
    """One file: its name, its columns as written, its records."""

    file: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def decode(file: str, data: bytes) -> str:
    """Return a file's text.

    UTF-8 is taken when the bytes are UTF-8, with or without a byte order mark; otherwise Windows-1252, which
    is what Excel writes on a Belgian or Dutch Windows.

    Args:
        file: its name, for refusals.
        data: its bytes.

    Raises:
        RosterRefusedError: for an empty or oversized file, bytes of no encoding we know, or text that was
            already damaged by an earlier conversion.
    """

    def refuse(key: str, position: int = 0, **values: object) -> RosterRefusedError:
        line = data.count(b"\n", 0, position) + 1 if position else 0
        return RosterRefusedError([Refusal(Place(file, line), key, values)])

    if len(data) > MAX_FILE_BYTES:
        raise refuse("file_too_large", megabytes=MAX_FILE_BYTES // 1024 // 1024)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise refuse("utf16")
    data = data.removeprefix(codecs.BOM_UTF8)
    if not data.strip():
        raise refuse("empty_file")
    if b"\0" in data:
        raise refuse("nul_byte", data.index(b"\0") or 1)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        try:
            text = data.decode("cp1252")
        except UnicodeDecodeError as error:
            raise refuse("encoding", error.start or 1) from None
    damaged = [
        Refusal(Place(file, number), "damaged_text")
        for number, line in enumerate(text.split("\n"), start=1)
        if _is_damaged(line)
    ]
    if damaged:
        raise RosterRefusedError(damaged)
    return text


def _is_damaged(line: str) -> bool:
    """Tell whether a line was converted wrongly before it reached us (``RenÃ©e``, ``Ren�e``)."""
    if line.isascii():
        return False
    if "\N{REPLACEMENT CHARACTER}" in line:
        return True
    for word in line.split():
        for encoding in ("cp1252", "latin-1"):
            # Text that becomes valid UTF-8 when written in an 8-bit encoding was UTF-8 read as that encoding.
            try:
                if not word.isascii() and word.encode(encoding).decode("utf-8"):
                    return True
            except UnicodeError:
                continue
    return False


def parse(file: str, data: bytes, required: Iterable[str] = (), separator: str = "") -> Table:
    """Return a file's records.

    Args:
        file: its name, for refusals.
        data: its bytes.
        required: columns that must be there, as written.
        separator: what stands between fields; found from the first line when not given.

    Raises:
        RosterRefusedError: when the file cannot be read, or any of its lines is broken; with every line.
    """
    text = decode(file, data)
    first, _, rest = text.partition("\n")
    skipped = 0
    if first.strip().lower().startswith("sep="):  # Excel's own way to name the separator
        text, skipped = rest, 1
        first = rest.partition("\n")[0]
    separator = separator or max(SEPARATORS, key=_outside_quotes(first).count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    records: list[tuple[int, list[str]]] = []
    refusals: list[Refusal] = []
    while True:
        line = reader.line_num + skipped + 1
        try:
            record = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            key = "unclosed_quote" if "unexpected end" in str(error) else "broken_quote"
            if "field larger" in str(error):
                key = "field_too_long"
            raise RosterRefusedError(
                [*refusals, Refusal(Place(file, line), key, {"limit": MAX_FIELD_CHARS})]
            ) from None
        if any(field.strip() for field in record):
            records.append((line, record))
    if not records:
        raise RosterRefusedError([Refusal(Place(file), "empty_file")])
    columns = _columns(file, records[0][1], required)
    rows = []
    for line, record in records[1:]:
        if len(record) != len(columns):
            values = {"found": len(record), "wanted": len(columns)}
            refusals.append(Refusal(Place(file, line), "field_count", values))
            continue
        for column, value in zip(columns, record, strict=True):
            if len(value) > MAX_FIELD_CHARS:
                refusals.append(
                    Refusal(Place(file, line, column), "field_too_long", {"limit": MAX_FIELD_CHARS})
                )
        rows.append(Row(line, {c: " ".join(value.split()) for c, value in zip(columns, record, strict=True)}))
    if refusals:
        raise RosterRefusedError(refusals)
    return Table(file, columns, tuple(rows))


def _columns(file: str, header: Sequence[str], required: Iterable[str]) -> tuple[str, ...]:
    """Return the column names of a header line that is whole."""
    columns = tuple(name.strip() for name in header)
    missing = [name for name in required if name not in columns]
    if missing:
        place = Place(file, 1)
        raise RosterRefusedError([Refusal(place, "missing_column", {"name": name}) for name in missing])
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise RosterRefusedError([Refusal(Place(file, 1, name), "double_column") for name in twice])
    return columns


def _outside_quotes(line: str) -> str:
    return "".join(line.split('"')[::2])


def is_readable_name(name: str) -> bool:
    """Tell whether a name holds only what names hold, so that a wrongly read encoding is seen at once."""
    return all(unicodedata.category(sign)[0] in "LMZ" or sign in NAME_SIGNS for sign in name)
