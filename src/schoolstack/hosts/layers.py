"""A host's disk: a writable layer over snapshots over a base image.

A layer is a folder with ``upper`` (the files that differ), ``work`` (overlayfs's own) and ``lower``, a
text file naming what lies underneath: another layer, or an image. Taking a snapshot is renaming a layer.
"""

from __future__ import annotations

from pathlib import Path

from schoolstack.errors import SchoolError
from schoolstack.hosts.state import make_folder, remove_tree


class Disk:
    """The layers of one host, in its folder: ``layer`` and ``snapshots/<name>``."""

    def __init__(self, folder: Path) -> None:
        """Use the layers in the host's folder."""
        self.folder = folder
        self.layer = folder / "layer"
        self._next = folder / "layer.next"

    def recover(self) -> bool:
        """Finish a snapshot that was interrupted between its two renames.

        Returns:
            Whether the host has a layer to boot from.
        """
        if self._next.exists() and not self.layer.exists():
            self._next.rename(self.layer)
        return self.layer.exists()

    def discard(self) -> None:
        """Throw the layer away; snapshots stay."""
        remove_tree(self._next)
        remove_tree(self.layer)

    def create(self, lower: Path, files: dict[str, tuple[int, str]] | None = None) -> None:
        """Replace the layer by an empty one.

        Args:
            lower: the image or snapshot underneath.
            files: path inside the host to its mode and text, for files the new layer begins with.
        """
        self._prepare(lower, files or {})
        remove_tree(self.layer)
        self._next.rename(self.layer)

    def _prepare(self, lower: Path, files: dict[str, tuple[int, str]]) -> None:
        """Make the next layer, whole or not at all."""
        partial = self.folder / ".layer.partial"
        remove_tree(partial)
        remove_tree(self._next)
        upper = partial / "upper"
        for folder in (upper, partial / "work"):
            make_folder(folder, 0o755)
        (partial / "lower").write_text(str(lower))
        for name, (mode, text) in files.items():
            path = upper / name
            make_folder(path.parent, 0o700 if name.startswith("root/") else 0o755)
            path.write_text(text)
            path.chmod(mode)
        partial.rename(self._next)

    def snapshots(self) -> list[str]:
        """Return the names of the snapshots, oldest first."""
        folders = sorted((self.folder / "snapshots").glob("*/lower"), key=lambda lower: lower.stat().st_mtime)
        return [lower.parent.name for lower in folders]

    def snapshot(self, name: str) -> Path:
        """Return the folder of a snapshot.

        Raises:
            SchoolError: when there is none of this name.
        """
        folder = self.folder / "snapshots" / name
        if not folder.exists():
            known = ", ".join(self.snapshots()) or "none yet"
            raise SchoolError(f'there is no snapshot "{name}" of {self.folder.name}; there are: {known}')
        return folder

    def check_free(self, name: str) -> None:
        """Refuse a name a snapshot has already.

        Raises:
            SchoolError: when it does.
        """
        if (self.folder / "snapshots" / name).exists():
            raise SchoolError(f'{self.folder.name} has a snapshot "{name}" already: choose another name')

    def freeze(self, name: str) -> None:
        """Keep the present layer as the snapshot ``name`` and go on in an empty one over it.

        Raises:
            SchoolError: when there is no layer.
        """
        target = self.folder / "snapshots" / name
        if not self.recover():
            raise SchoolError(f"there is nothing to keep of {self.folder.name} yet: bring it up first")
        target.parent.mkdir(exist_ok=True)
        self._prepare(target, {})
        self.layer.rename(target)
        self._next.rename(self.layer)

    def forget(self, name: str) -> None:
        """Delete the snapshot ``name``, if there is one.

        Raises:
            SchoolError: the present layer or another snapshot lies upon it.
        """
        doomed = self.folder / "snapshots" / name
        layers = [self.layer, *(self.folder / "snapshots").glob("*")]
        if any(
            (layer / "lower").is_file() and (layer / "lower").read_text() == str(doomed) for layer in layers
        ):
            raise SchoolError(f'the snapshot "{name}" of {self.folder.name} is in use: reset the host first')
        remove_tree(doomed)

    def mount_options(self) -> str:
        """Return overlayfs's mount options for the layer and all that lies under it."""
        lowers = []
        below = Path((self.layer / "lower").read_text())
        while (below / "lower").is_file():
            lowers.append(str(below / "upper"))
            below = Path((below / "lower").read_text())
        lowers.append(str(below))
        return f"lowerdir={':'.join(lowers)},upperdir={self.layer / 'upper'},workdir={self.layer / 'work'}"
