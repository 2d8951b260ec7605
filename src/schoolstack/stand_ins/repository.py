"""An apt repository as a vendor has one: signed, with packages made here."""

from __future__ import annotations

import datetime
import hashlib
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from pysequoia import SignatureMode, Tsk, sign


@dataclass
class Repository:
    """A repository in a folder.

    Attributes:
        folder: where it lies.
        flat: whether it has neither suites nor components.
        key: who signs it.
        packages: each package's fields of the index.
    """

    folder: Path
    flat: bool = False
    key: Tsk = field(default_factory=lambda: Tsk.generate("Vendor <vendor@vendor.example>"))
    packages: list[str] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        """The fingerprint of its key, as people write it."""
        return str(self.key.extract_certificate().fingerprint).upper()

    @property
    def public_key(self) -> str:
        """Its key, as a vendor publishes it."""
        return str(self.key.extract_certificate())

    def add(
        self,
        name: str,
        version: str,
        files: dict[str, str],
        control: str = "",
        postinst: str = "",
        postrm: str = "",
        configuration: list[str] | None = None,
    ) -> None:
        """Make a package and put it there.

        Args:
            name: the package.
            version: its version.
            files: content by path; those in a folder ``bin`` may be run.
            control: further fields, whole lines.
            postinst: what is run when it is configured.
            postrm: what is run when it was removed.
            configuration: those of the files that are its configuration; those below ``/etc`` when not given.
        """
        root = self.folder / "made" / f"{name}-{version}"
        for path, content in files.items():
            file = root / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, encoding="utf-8")
            file.chmod(0o755 if "/bin/" in path else 0o644)
        fields = (
            f"Package: {name}\nVersion: {version}\nArchitecture: all\n"
            "Maintainer: Vendor <vendor@vendor.example>\n"
            f"{control}Description: stand-in for {name}\n"
        )
        about = root / "DEBIAN"
        about.mkdir(parents=True)
        (about / "control").write_text(fields)
        if configuration is None:
            configuration = [path for path in files if path.startswith("/etc/")]
        if configuration:
            (about / "conffiles").write_text("".join(f"{path}\n" for path in configuration))
        for script, words in {"postinst": postinst, "postrm": postrm}.items():
            if words:
                (about / script).write_text(words)
                (about / script).chmod(0o755)
        package = self.folder / "pool" / f"{name}_{version}_all.deb"
        package.parent.mkdir(parents=True, exist_ok=True)
        command = ["dpkg-deb", "--root-owner-group", "--build", str(root), str(package)]
        subprocess.run(command, check=True, capture_output=True)
        packed = package.read_bytes()
        self.packages.append(
            f"{fields}Filename: pool/{package.name}\nSize: {len(packed)}\n"
            f"SHA256: {hashlib.sha256(packed).hexdigest()}\n"
        )

    def publish(self) -> None:
        """Write and sign the index."""
        index = "\n".join(self.packages).encode()
        name = "Packages" if self.flat else "main/binary-amd64/Packages"
        top = self.folder if self.flat else self.folder / "dists" / "stable"
        place = top / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(index)
        digest = hashlib.sha256(index).hexdigest()
        now = datetime.datetime.now(datetime.UTC).strftime("%a, %d %b %Y %H:%M:%S UTC")
        suite = "Suite: stable\nCodename: stable\nArchitectures: amd64\nComponents: main\n"
        about = f"Origin: vendor\n{'' if self.flat else suite}Date: {now}\n"
        release = f"{about}SHA256:\n {digest} {len(index)} {name}\n"
        signed = sign(self.key.signer(), release.encode(), mode=SignatureMode.CLEAR)
        (top / "InRelease").write_bytes(signed)


def needs_python(*libraries: str) -> str:
    """Return the field of a package that runs a program of ours."""
    return f"Depends: adduser, python3, {', '.join(f'python3-{name}' for name in libraries)}\n"
