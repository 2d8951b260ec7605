"""The reference says what the roles say."""

from __future__ import annotations

from pathlib import Path

from schoolstack.reference.pages import FOLDER, pages

ROOT = Path(__file__).parents[2]


def test_the_committed_reference_is_what_the_roles_say() -> None:
    wanted = pages(ROOT)
    committed = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / FOLDER).glob("*.md")}
    stale = sorted(
        name for name in wanted.keys() | committed.keys() if wanted.get(name) != committed.get(name)
    )
    assert not stale, f"run `school reference` and commit what it writes: {', '.join(stale)}"


def test_a_changed_role_is_seen(tmp_path: Path) -> None:
    spec = tmp_path / "roles" / "a" / "meta" / "argument_specs.yml"
    spec.parent.mkdir(parents=True)
    text = """
        argument_specs:
          main:
            short_description: A role
            options:
              a_networks: {type: list, elements: dict, default: [], description: "Networks, as C(x|y).",
                options: {cidr: {type: str, required: true, description: Which.}}}
          allow:
            short_description: Let in
            options: {a_allow: {type: dict, required: true, description: Whom.}}
    """
    spec.write_text(text, encoding="utf-8")
    page = pages(tmp_path)["a.md"]
    assert "| `a_networks` | list of dict | `[]` | Networks, as `x\\|y`. |" in page
    assert "| `a_networks[].cidr` | str | required | Which. |" in page
    assert "## Door `allow`" in page
    spec.write_text(text.replace("Which.", "Which one."), encoding="utf-8")
    assert pages(tmp_path)["a.md"] != page
