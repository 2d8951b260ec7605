"""A lesson as a page of a course, in a Common Cartridge.

It is version 1.1 (1EdTech, 2011), not a later one, since Moodle reads 1.0 and 1.1 only (its
``backup/converter``), and what reads 1.3 reads 1.1 as well.
"""

from __future__ import annotations

from lxml import etree, html
from lxml.builder import E

from schoolstack.labs.lesson import Lesson, words
from schoolstack.labs.records.package import MANIFEST, xml, zipped
from schoolstack.messages import language, say

# Names of the specification: of the manifest, of its description, and of a link.
PACKAGE = "http://www.imsglobal.org/xsd/imsccv1p1/imscp_v1p1"
DESCRIPTION = "http://ltsc.ieee.org/xsd/imsccv1p1/LOM/manifest"
LINK = "http://www.imsglobal.org/xsd/imsccv1p1/imswl_v1p1"
LINK_KIND = "imswl_xmlv1p1"
PAGE = "lesson.html"


def cartridge(lesson: Lesson, link: str = "") -> bytes:
    """Return a cartridge with the lesson's page, in the language of this process.

    Args:
        lesson: the lesson.
        link: an address that the course is to lead to as well, such as that of a seat's page.
    """
    title = words(lesson.content["title"])
    # Moodle tells the version from the first 500 characters: no further names before them.
    manifest = etree.Element("manifest", {"identifier": lesson.name}, nsmap={None: PACKAGE})
    metadata = etree.SubElement(manifest, "metadata")
    etree.SubElement(metadata, "schema").text = "IMS Common Cartridge"
    etree.SubElement(metadata, "schemaversion").text = "1.1.0"
    described = etree.SubElement(metadata, f"{{{DESCRIPTION}}}lom", nsmap={"lomimscc": DESCRIPTION})
    general = etree.SubElement(described, f"{{{DESCRIPTION}}}general")
    for name, text in (("title", title), ("description", words(lesson.content["audience"]))):
        said = etree.SubElement(
            etree.SubElement(general, f"{{{DESCRIPTION}}}{name}"), f"{{{DESCRIPTION}}}string"
        )
        said.set("language", language())
        said.text = text
    organizations = etree.SubElement(manifest, "organizations")
    course = etree.SubElement(
        organizations, "organization", identifier="course", structure="rooted-hierarchy"
    )
    root = etree.SubElement(course, "item", identifier="root")
    section = etree.SubElement(root, "item", identifier="section")
    etree.SubElement(section, "title").text = title
    resources = etree.SubElement(manifest, "resources")
    files = {PAGE: _page(lesson, title)}
    _add(section, resources, "page", title, "webcontent", PAGE)
    if link:
        told = etree.Element("webLink", nsmap={None: LINK})
        etree.SubElement(told, "title").text = say("records.open", title=title)
        etree.SubElement(told, "url", href=link, target="_blank")
        files["link.xml"] = xml(told)
        _add(section, resources, "link", say("records.open", title=title), LINK_KIND, "link.xml")
    return zipped({MANIFEST: xml(manifest), **files})


def _add(
    section: etree._Element, resources: etree._Element, name: str, title: str, kind: str, path: str
) -> None:
    item = etree.SubElement(section, "item", identifier=f"item-{name}", identifierref=name)
    etree.SubElement(item, "title").text = title
    resource = etree.SubElement(resources, "resource", identifier=name, type=kind)
    if kind == "webcontent":
        resource.set("href", path)
    etree.SubElement(resource, "file", href=path)


def _page(lesson: Lesson, title: str) -> bytes:
    content = lesson.content
    body = [E.h1(title), E.p(say("labs.for_whom", audience=words(content["audience"])))]
    body += [
        E.h2(say("labs.objectives")),
        E.ul(*(E.li(words(each["text"])) for each in content["objectives"])),
    ]
    body += [E.h2(say("labs.steps")), E.ol(*(E.li(words(step["title"])) for step in content["steps"]))]
    budget = {"minutes": content["minutes"], "memory": content["memory_mb"], "disk": content["disk_mb"]}
    body += [E.h2(say("records.begin")), E.pre(f"school lab start {lesson.name}")]
    body += [E.p(say("labs.needs", **budget))]
    page = E.html(E.head(E.meta(charset="utf-8"), E.title(title)), E.body(*body), lang=language())
    written: bytes = html.tostring(page, doctype="<!DOCTYPE html>", encoding="utf-8", pretty_print=True)
    return written
