"""Bring pinned upstream artefacts into one folder of the machine that runs Ansible, verified."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from schoolstack.messages import say

DOCUMENTATION = r"""
name: school_artefacts
short_description: Pinned upstream artefacts in one folder, verified
description:
    - Verifies each artefact by SHA-256, and an OpenPGP key by its fingerprint, so that its file may change.
    - Fetches what is missing from the first source that has it.
    - Where its maker signs it, the signature comes along, from the file's address and C(.asc), and has to
      be of the key whose fingerprint is pinned.
    - What was put there by hand is known by its SHA-256, and by a signature as well where one lies beside it.
    - In check mode nothing is fetched; a missing artefact is then reported as a change, not as a failure.
    - To be run on the controller (C(delegate_to=localhost)).
author: Schoolstack contributors
options:
    artefacts:
        description: What is pinned; see "Artefacts" in docs/architecture.md.
        type: list
        elements: dict
        required: true
    architecture:
        description: The architecture to have them for, C(amd64) or C(arm64); every pinned one when empty.
        type: str
    folder:
        description: Where they are kept.
        type: path
        required: true
    mirror:
        description: Address below which the school's own mirror has the files; asked first.
        type: str
"""

RETURN = r"""
artefacts:
    description: Per file its name, version, file, path, sha256, bytes (of the file here), state and reason.
    type: list
    returned: always
"""

TIMEOUT_S = 30  # for an answer to begin, not for the whole file


class ActionModule(ActionBase):
    """See DOCUMENTATION."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Verify and fetch; fail with one sentence for each artefact that cannot be had."""
        super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(
            argument_spec={
                "artefacts": {"type": "list", "elements": "dict", "required": True},
                "architecture": {"type": "str", "default": ""},
                "folder": {"type": "path", "required": True},
                "mirror": {"type": "str", "default": ""},
            }
        )
        folder = Path(args["folder"]).expanduser()
        rows = [
            self._row(wanted, folder, args["mirror"], task_vars or {})
            for artefact in args["artefacts"]
            for wanted in per_architecture(artefact, args["architecture"])
        ]
        reasons = [row["reason"] for row in rows if row["reason"]]
        changed = any(row["state"] in ("fetched", "missing") and not row["reason"] for row in rows)
        result = {"artefacts": rows, "changed": changed}
        return {**result, "failed": True, "msg": "\n".join(reasons)} if reasons else result

    def _row(
        self, wanted: dict[str, Any], folder: Path, mirror: str, task_vars: dict[str, Any]
    ) -> dict[str, Any]:
        """Return what became of one file."""
        path = folder / wanted["file"]
        state, reason = "verified", ""
        if not path.exists():
            state = "missing"
            if not self._task.check_mode:
                reason = self._fetch(wanted, path, mirror, task_vars)
                state = "missing" if reason else "fetched"
        elif (found := digest(path, wanted)) != pin(wanted):
            state = "refused"
            reason = self._set_aside(path, say("artefacts.changed", path=path, why=mismatch(wanted, found)))
        elif "signature" in wanted and beside(path).exists():
            key = self._row(key_of(wanted), folder, mirror, task_vars)
            reason = key["reason"]
            if not reason and key["state"] != "missing" and not signed(path, beside(path), Path(key["path"])):
                why = say("artefacts.not_signed", fingerprint=wanted["signature"]["fingerprint"])
                reason = self._set_aside(path, say("artefacts.changed", path=path, why=why))
            state = "refused" if reason else state
        return {
            **{key: wanted[key] for key in ("name", "version", "file")},
            "sha256": wanted.get("sha256", ""),
            "path": str(path),
            "bytes": path.stat().st_size if path.exists() else None,
            "state": state,
            "reason": reason,
        }

    def _set_aside(self, path: Path, reason: str) -> str:
        """Have a wrong file out of the way, unless nothing may change; return the whole reason."""
        if self._task.check_mode:
            return reason
        beside(path).unlink(missing_ok=True)
        aside = path.with_name(f"{path.name}.refused")
        path.replace(aside)
        return f"{reason}; {say('artefacts.set_aside', aside=aside.name)}"

    def _fetch(self, wanted: dict[str, Any], path: Path, mirror: str, task_vars: dict[str, Any]) -> str:
        """Fetch one file from the first source that has it; return in a sentence why none had."""
        key: dict[str, Any] = {}
        if "signature" in wanted:
            key = self._row(key_of(wanted), path.parent, mirror, task_vars)
            if key["reason"]:
                return str(key["reason"])
        sources = [{"kind": "url", "url": f"{mirror.rstrip('/')}/{path.name}"}] if mirror else []
        part = path.with_name(f".{path.name}.part")
        path.parent.mkdir(parents=True, exist_ok=True)
        tried = []
        for source in sources + wanted["sources"]:
            part.unlink(missing_ok=True)
            label, module, module_args = request(source, wanted["version"], part)
            answer = self._execute_module(module_name=module, module_args=module_args, task_vars=task_vars)
            if answer.get("failed") or not part.exists():
                tried.append(f"{label} ({answer.get('response') or answer.get('msg')})")
                continue
            if "fingerprint" in wanted:
                keep_key(part, wanted["fingerprint"])
            refused = ""
            if (found := digest(part, wanted)) != pin(wanted):
                refused = mismatch(wanted, found)
            elif key:
                refused = self._unsigned(wanted, part, source, Path(key["path"]), task_vars)
            if not refused:
                part.replace(path)
                return ""
            aside = path.with_name(f"{path.name}.refused")
            part.replace(aside)
            tried.append(f"{label} ({refused}, {say('artefacts.aside', aside=aside.name)})")
        return say(
            "artefacts.missing",
            **{name: wanted[name] for name in ("name", "version")},
            tried=say("artefacts.nor").join(tried),
            file=path.name,
            kind=kind(wanted),
            pinned=pin(wanted),
            folder=path.parent,
        )

    def _unsigned(
        self,
        wanted: dict[str, Any],
        part: Path,
        source: dict[str, str],
        key: Path,
        task_vars: dict[str, Any],
    ) -> str:
        """Fetch the signature of what came from a source; say why it vouches for nothing, if so."""
        signature = beside(part)
        signature.unlink(missing_ok=True)
        address, module, module_args = request(signature_of(source), wanted["version"], signature)
        answer = self._execute_module(module_name=module, module_args=module_args, task_vars=task_vars)
        try:
            if answer.get("failed") or not signature.exists():
                why = answer.get("response") or answer.get("msg")
                return say("artefacts.no_signature", address=address, why=why)
            if not signed(part, signature, key):
                return say("artefacts.not_signed", fingerprint=wanted["signature"]["fingerprint"])
            return ""
        finally:
            signature.unlink(missing_ok=True)


def per_architecture(artefact: dict[str, Any], architecture: str) -> list[dict[str, Any]]:
    """Return the files of one pinned artefact, for one architecture or, when that is empty, for each.

    ``{arch}`` in the file's name and in its sources stands for the architecture.
    """
    if "fingerprint" in artefact:
        return [artefact]
    pinned: dict[str, str] = artefact["sha256"]
    if architecture:
        key = "all" if "all" in pinned else architecture
        if key not in pinned:
            raise AnsibleActionFail(
                f"{artefact['name']} {artefact['version']} is not pinned for {architecture}: "
                f"give it a server of another architecture ({', '.join(pinned)})."
            )
        pinned = {key: pinned[key]}
    return [
        {
            **artefact,
            "file": artefact["file"].replace("{arch}", arch),
            "sha256": digest,
            "sources": [
                {key: value.replace("{arch}", arch) for key, value in source.items()}
                for source in artefact["sources"]
            ],
        }
        for arch, digest in pinned.items()
    ]


def request(source: dict[str, str], version: str, destination: Path) -> tuple[str, str, dict[str, Any]]:
    """Return what a source is called, the module that fetches from it, and that module's arguments."""
    if source["kind"] == "maven":
        coordinates = {"group_id": source["group"], "artifact_id": source["artifact"], "version": version}
        return (
            f"Maven {source['group']}:{source['artifact']}",
            "community.general.maven_artifact",
            {
                **coordinates,
                "extension": source["extension"],
                "classifier": source.get("classifier", ""),
                "dest": str(destination),
                "timeout": TIMEOUT_S,
                "verify_checksum": "never",  # the pinned SHA-256 says more than a digest from the same place
                "mode": "0644",
            },
        )
    return (
        source["url"],
        "ansible.builtin.get_url",
        {"url": source["url"], "dest": str(destination), "timeout": TIMEOUT_S, "mode": "0644"},
    )


def key_of(wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the key by which a file is signed, as something that is pinned itself."""
    signature = wanted["signature"]
    return {
        "name": say("artefacts.key", name=wanted["name"]),
        "version": signature["fingerprint"][-16:],
        "file": f"{signature['fingerprint']}.asc",
        "fingerprint": signature["fingerprint"],
        "sources": [{"kind": "url", "url": signature["key"]}],
    }


def beside(path: Path) -> Path:
    """Return where the signature of a file lies."""
    return path.with_name(f"{path.name}.asc")


def signature_of(source: dict[str, str]) -> dict[str, str]:
    """Return where the signature of a file can be had, which comes from an address: beside it."""
    return {**source, "url": f"{source['url']}.asc"}


def signed(path: Path, signature: Path, key: Path) -> bool:
    """Return whether a file was signed by a key while that was good, in a detached signature."""
    from pysequoia import Cert, Sig, verify

    try:
        maker = Cert.from_file(str(key))
        verify(file=str(path), store=lambda _: [maker], signature=Sig.from_file(str(signature)))
    except RuntimeError:  # what the library raises for another signature, and for whatever is none
        return False
    return True


def sha256(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(path: Path) -> str:
    """Return the fingerprint of an OpenPGP key, as people write it; of a file with several, all of them."""
    # Here, since most inventories have no such key, and it is compiled for one Python only.
    from pysequoia import Cert

    try:
        return ", ".join(key.fingerprint.upper() for key in Cert.split_file(str(path)))
    except RuntimeError:  # what the library raises for whatever is no key
        return say("artefacts.none")


def keep_key(path: Path, pinned: str) -> None:
    """Leave in a file the pinned key alone, in the armour that apt knows by the file's name.

    Vendors publish keyrings: what else is in one, an older key perhaps, is to vouch for nothing. A file
    without that key stays as it came.
    """
    from pysequoia import Cert

    try:
        keys = [key for key in Cert.split_file(str(path)) if key.fingerprint.upper() == pinned]
    except RuntimeError:  # what the library raises for whatever is no key
        return
    for key in keys:
        path.write_text(str(key), encoding="utf-8")


def kind(wanted: dict[str, Any]) -> str:
    """Return by what a file is known."""
    return say("artefacts.fingerprint") if "fingerprint" in wanted else "SHA-256"


def pin(wanted: dict[str, Any]) -> str:
    """Return what was pinned of a file."""
    return str(wanted.get("fingerprint") or wanted["sha256"])


def digest(path: Path, wanted: dict[str, Any]) -> str:
    """Return of a file what was pinned of it."""
    return fingerprint(path) if "fingerprint" in wanted else sha256(path)


def mismatch(wanted: dict[str, Any], found: str) -> str:
    """Say what was expected and what was found."""
    return say("artefacts.mismatch", kind=kind(wanted), pinned=pin(wanted), found=found)
