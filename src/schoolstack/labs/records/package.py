"""Packages as learning platforms import them: a zip whose ``imsmanifest.xml`` says what is in it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

from lxml import etree

MANIFEST = "imsmanifest.xml"


def xml(root: etree._Element) -> bytes:
    """Return an XML file."""
    written: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return written


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Return a zip of files, the same each time for the same files.

    Args:
        files: what is in each, by its path.
    """
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            # Without a time of its own, since two exports of one lesson are to be equal.
            archive.writestr(zipfile.ZipInfo(path), content, zipfile.ZIP_DEFLATED)
    return held.getvalue()
