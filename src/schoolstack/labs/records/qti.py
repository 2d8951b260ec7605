"""The questions of a lesson as a package of QTI 3 (1EdTech, Question and Test Interoperability 3.0, 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from lxml import etree

from schoolstack.labs.lesson import Lesson, words
from schoolstack.labs.records.package import MANIFEST, xml, zipped
from schoolstack.labs.records.questions import name_of, rights, shares
from schoolstack.messages import language

# Names of the specification: of an item, of the package around it, and of an item in that package.
ITEM = "http://www.imsglobal.org/xsd/imsqtiasi_v3p0"
PACKAGE = "http://www.imsglobal.org/xsd/qti/qtiv3p0/imscp_v1p1"
KIND = "imsqti_item_xmlv3p0"
_XML = "http://www.w3.org/XML/1998/namespace"


def qti(lesson: Lesson) -> bytes:
    """Return a lesson's questions as a zip, an item each, in the language of this process."""
    manifest = etree.Element("manifest", {"identifier": lesson.name}, nsmap={None: PACKAGE})
    metadata = etree.SubElement(manifest, "metadata")
    etree.SubElement(metadata, "schema").text = "QTI Package"
    etree.SubElement(metadata, "schemaversion").text = "3.0.0"
    etree.SubElement(manifest, "organizations")
    resources = etree.SubElement(manifest, "resources")
    items = {}
    for number, question in enumerate(lesson.content["questions"], 1):
        name = f"{lesson.name}-{number:02}"
        path = f"items/{name}.xml"
        items[path] = xml(_item(name, name_of(lesson, number), question))
        resource = etree.SubElement(resources, "resource", identifier=name, type=KIND, href=path)
        etree.SubElement(resource, "file", href=path)
    return zipped({MANIFEST: xml(manifest), **items})


def _item(name: str, title: str, question: Mapping[str, Any]) -> etree._Element:
    answers = question["answers"]
    one = rights(answers) == 1
    item = etree.Element(
        "qti-assessment-item",
        {
            "identifier": name,
            "title": title,
            "adaptive": "false",
            "time-dependent": "false",
            f"{{{_XML}}}lang": language(),
        },
        nsmap={None: ITEM},
    )
    response = _declared(item, "response", "RESPONSE", "identifier", "single" if one else "multiple")
    correct = etree.SubElement(response, "qti-correct-response")
    # Ticking all answers gives nothing, and no question takes points from another.
    bounds = {"default-value": "0", "lower-bound": "0", "upper-bound": "1"}
    mapping = etree.SubElement(response, "qti-mapping", bounds)
    _declared(item, "outcome", "SCORE", "float", **{"normal-maximum": "1"})
    body = etree.SubElement(item, "qti-item-body")
    choices = etree.SubElement(body, "qti-choice-interaction")
    choices.attrib.update({"response-identifier": "RESPONSE", "shuffle": "true"})
    choices.set("max-choices", "1" if one else "0")
    etree.SubElement(choices, "qti-prompt").text = words(question["text"])
    for number, (answer, share) in enumerate(shares(answers), 1):
        key = f"A{number}"
        if answer["right"]:
            etree.SubElement(correct, "qti-value").text = key
        worth = str(Decimal(share) / 100)
        etree.SubElement(mapping, "qti-map-entry", {"map-key": key, "mapped-value": worth})
        etree.SubElement(choices, "qti-simple-choice", identifier=key).text = words(answer["text"])
    processing = etree.Element("qti-response-processing")
    etree.SubElement(_set(processing, "SCORE"), "qti-map-response", identifier="RESPONSE")
    if "why" in question:
        body.addprevious(_declared(item, "outcome", "WHY", "identifier"))
        etree.SubElement(_set(processing, "WHY"), "qti-base-value", {"base-type": "identifier"}).text = "told"
    item.append(processing)
    if "why" in question:
        feedback = etree.SubElement(item, "qti-modal-feedback", identifier="told")
        feedback.attrib.update({"outcome-identifier": "WHY", "show-hide": "show"})
        said = etree.SubElement(feedback, "qti-content-body")
        etree.SubElement(said, "p").text = words(question["why"])
    return item


def _declared(
    item: etree._Element, kind: str, name: str, base: str, cardinality: str = "single", **further: str
) -> etree._Element:
    attributes = {"identifier": name, "cardinality": cardinality, "base-type": base, **further}
    return etree.SubElement(item, f"qti-{kind}-declaration", attributes)


def _set(processing: etree._Element, name: str) -> etree._Element:
    return etree.SubElement(processing, "qti-set-outcome-value", identifier=name)
