"""The rules of the house: each reads the whole project and yields one sentence per breach."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from house import Project, load

from schoolstack.preflight import check_declaration
from schoolstack.reference.declarations import resolve

Rule = Callable[[Project], Iterator[str]]
RULES: dict[str, Rule] = {}

# A variable that several doors of a role share.
SHARED_DOORS = {"app": "app_declaration"}
# Doors that several roles offer, so that who calls one needs not know which role it is, with the one variable
# that all of them take.
COMMON_DOORS = {
    "stage": "app_step",
    **dict.fromkeys(("rotating", "rotated", "client_rotated"), "rotated_secret"),
}
# What an application's role may call: everything else reaches around `app`.
OPEN_TO_APPLICATIONS = {"app", "apt_source", "archive"}
# What an application is given and no door of its own takes away: other programs may use a Debian package too,
# what was fetched lies on the machine that runs Ansible, what was made ready goes with what was installed,
# and data that was put back is the school's.
STAYS = {
    ("host", "packages"),
    ("archive", "fetch"),
    ("archive", "unpack"),
    ("archive", "parts"),
    ("apt_source", "fetch"),
    ("backup", "restore"),
}
# Verbs that have a role of their own, and the application each is about.
VERBS = {"roster": {"keycloak"}}
# Modules of our own that keep their secret to themselves, because people have to see what they return.
DISCREET = {"roster", "keycloak_automation"}
# The moment since which something has to be new: the lookup knows it, but it is no secret.
RENEWAL = re.compile(r"lookup\('school_secret', '[a-z0-9_]+', part='renewal'\)")
# Readable in one screen.
MAIN_LINES = 60


def rule(function: Rule) -> Rule:
    """Register a rule under its function's name."""
    RULES[function.__name__] = function
    return function


# Roles and their doors.


@rule
def every_role_says_what_it_is(project: Project) -> Iterator[str]:
    for role in project.roles.values():
        meta = load(role.path / "meta" / "main.yml") or {}
        info = meta.get("galaxy_info") or {}
        if info.get("license") != "AGPL-3.0-or-later" or not info.get("description"):
            yield f"{role.name}: meta/main.yml lacks the description or the licence"
        if meta.get("dependencies"):
            yield f"{role.name}: meta/main.yml has dependencies; roles meet in playbooks and through doors"
        if not role.specs:
            yield f"{role.name}: meta/argument_specs.yml describes no entry point"


@rule
def specs_and_defaults_hold_the_same(project: Project) -> Iterator[str]:
    for role in project.roles.values():
        options = (role.specs.get("main") or {}).get("options") or {}
        free = {name: spec for name, spec in options.items() if not spec.get("required")}
        for name in sorted(free.keys() ^ role.defaults.keys()):
            where = "argument_specs.yml" if name in role.defaults else "defaults/main.yml"
            yield f"{role.name}: {name} is missing in {where}"
        for name in sorted(free.keys() & role.defaults.keys()):
            if free[name].get("default") != role.defaults[name]:
                yield f"{role.name}: the default of {name} differs between argument_specs.yml and defaults"


@rule
def every_option_is_described(project: Project) -> Iterator[str]:
    def bare(options: dict[str, Any], path: str) -> Iterator[str]:
        for name, spec in options.items():
            if not spec.get("description") or not spec.get("type"):
                yield f"{path}.{name} lacks its description or type"
            yield from bare(spec.get("options") or {}, f"{path}.{name}")

    for role in project.roles.values():
        for entry, spec in role.specs.items():
            if not spec.get("short_description"):
                yield f"{role.name}.{entry} lacks a short_description"
            yield from bare(spec.get("options") or {}, f"{role.name}.{entry}")


@rule
def a_door_takes_one_variable(project: Project) -> Iterator[str]:
    for role in project.roles.values():
        for entry, spec in role.specs.items():
            if not (role.path / "tasks" / f"{entry}.yml").exists():
                yield f"{role.name}: the entry point {entry} has no tasks/{entry}.yml"
            wanted = _variable(role.name, entry)
            if entry != "main" and list(spec.get("options") or {}) != [wanted]:
                yield f"{role.name}: the door {entry} takes something else than {wanted} alone"


@rule
def only_doors_are_called(project: Project) -> Iterator[str]:
    for task in project.tasks:
        if task.module not in ("include_role", "import_role"):
            continue
        name = task.arguments.get("name", "")
        entry = task.arguments.get("tasks_from", "main")
        called = project.roles.get(name)
        if called is None or entry not in called.specs:
            if "{{" not in name:
                yield f"{task.place}: {name} has no entry point {entry}"
        elif entry != "main":
            wanted = _variable(name, entry)
            given = {key for key in task.content.get("vars") or {} if not key.startswith("__")}
            if given != {wanted}:
                yield f"{task.place}: the door {entry} of {name} is given {sorted(given)} instead of {wanted}"


@rule
def variables_carry_the_roles_name(project: Project) -> Iterator[str]:
    for role in project.roles.values():
        given = {*role.defaults, *role.variables, *((role.specs.get("main") or {}).get("options") or {})}
        for task in role.tasks:
            given |= {task.content["register"]} if "register" in task.content else set()
            if task.module == "set_fact":
                given |= {name for name in task.arguments if name != "cacheable"}
            if task.module not in ("include_role", "import_role"):
                given |= set(task.content.get("vars") or {})
            given |= {(task.content.get("loop_control") or {}).get("loop_var", f"{role.name}_")}
        for name in sorted(given):
            if not name.startswith((f"{role.name}_", f"__{role.name}_", "ansible_")):
                yield f"{role.name}: the variable {name} does not begin with {role.name}_ or __{role.name}_"


@rule
def no_fact_is_set_over_a_users_variable(project: Project) -> Iterator[str]:
    for task in project.tasks:
        if task.module == "set_fact":
            for name in task.arguments:
                if not name.startswith("__") and name != "cacheable":
                    yield f"{task.place}: set_fact on {name}, which a school may have set"


@rule
def platform_roles_name_no_application(project: Project) -> Iterator[str]:
    applications = {role.name for role in project.roles.values() if role.is_application}
    for role in project.roles.values():
        if role.is_application or role.name == "app":
            continue
        for name in sorted(applications - VERBS.get(role.name, set())):
            for path in sorted(role.path.rglob("*")):
                if path in project.files and re.search(rf"\b{name}\b", _without_comments(path)):
                    yield f"{project.name(path)} names the application {name}"


@rule
def applications_go_through_app(project: Project) -> Iterator[str]:
    for role in project.roles.values():
        for task in role.tasks:
            if task.module not in ("include_role", "import_role") or role.name == "app":
                continue
            name = task.arguments.get("name", "")
            called = project.roles.get(name)
            if role.is_application and name not in OPEN_TO_APPLICATIONS | {role.name}:
                yield f"{task.place}: an application calls {name} itself instead of declaring what it needs"
            elif called and called.is_application and name != role.name:
                yield f"{task.place}: a platform role calls the application {name}"


@rule
def what_an_application_is_given_can_be_taken_away(project: Project) -> Iterator[str]:
    if "app" not in project.roles:
        return
    given, taken = set(), set()
    for role in project.roles.values():
        for task in role.tasks:
            if task.module in ("include_role", "import_role"):
                call = (task.arguments.get("name", ""), task.arguments.get("tasks_from", "main"))
                by_app = role.name == "app" and re.search(r"/(prepare|publish)\.yml$", task.place)
                if by_app or (role.is_application and call[0] != "app"):
                    given.add(call)
                elif task.place.endswith("app/tasks/remove.yml"):
                    taken.add(call)
    for name, entry in sorted(given - STAYS):
        if (name, f"{entry}_removed") not in taken:
            yield f"app: remove.yml does not undo the door {entry} of {name} with its door {entry}_removed"


@rule
def main_reads_like_a_table_of_contents(project: Project) -> Iterator[str]:
    for role in project.roles.values():
        path = role.path / "tasks" / "main.yml"
        if path.exists() and (count := len(path.read_text(encoding="utf-8").splitlines())) > MAIN_LINES:
            yield f"{role.name}: tasks/main.yml has {count} lines; give parts of it a file of their own"


# Tasks.


@rule
def tasks_and_handlers_speak(project: Project) -> Iterator[str]:
    for task in project.tasks:
        name = str(task.content.get("name", ""))
        if not name and "block" in task.content:
            continue
        if not re.match(r"[A-Z]", name):
            yield f"{task.place}: a task has no name that begins with a capital ({name or task.module})"
        elif task.handler and " " not in name:
            yield f"{task.place}: the handler {name} is not a sentence"


@rule
def failures_are_not_waved_through(project: Project) -> Iterator[str]:
    for task in project.tasks:
        if "ignore_errors" in task.content or "ignore_unreachable" in task.content:
            yield f"{task.place}: {task.content.get('name')} ignores errors; say in failed_when what is fine"
        if task.content.get("failed_when") is False and "register" not in task.content:
            yield f"{task.place}: {task.content.get('name')} can never fail, and nobody looks at its result"


@rule
def certificates_are_verified(project: Project) -> Iterator[str]:
    settings = r"validate_certs\s*[:=]\s*(false|no)\b|verify\s*=\s*False|curl\b.*\s(-\w*k|--insecure)\b"
    unverified = re.compile(rf"\b({settings})", re.I)
    for place, line in project.lines():
        if unverified.search(line) and not _is_about_rules(place):
            yield f"{place}: a certificate is not verified"


@rule
def nothing_is_the_latest(project: Project) -> Iterator[str]:
    for task in project.tasks:
        if isinstance(task.arguments, dict) and "latest" in map(str, task.arguments.values()):
            yield f"{task.place}: {task.content.get('name')} takes whatever is latest; name the version"
    for place, artefact in _artefacts(project):
        if not re.search(r"\d", str(artefact.get("version", ""))):
            yield f"{place}: {artefact.get('name')} has no version"


@rule
def no_task_is_kept_from_a_test(project: Project) -> Iterator[str]:
    for task in project.tasks:
        tags = task.content.get("tags") or []
        for tag in [tags] if isinstance(tags, str) else tags:
            # By these tags Molecule and ansible-lint leave a task out: this looks for them, and uses none.
            if "notest" in tag or tag == "skip_ansible_lint":
                yield f"{task.place}: {task.content.get('name')} is tagged out of a test ({tag})"


@rule
def a_rescue_states_its_recovery(project: Project) -> Iterator[str]:
    for path in project.files:
        if path.suffix == ".yml":
            lines = path.read_text(encoding="utf-8").splitlines()
            for number, line in enumerate(lines):
                around = lines[max(number - 1, 0)] + lines[min(number + 1, len(lines) - 1)]
                if re.match(r"\s*(- )?rescue:\s*$", line) and "#" not in around:
                    yield f"{project.name(path)}:{number + 1}: a rescue without a comment on how it recovers"


@rule
def downloads_are_pinned(project: Project) -> Iterator[str]:
    for task in project.tasks:
        given = task.arguments if isinstance(task.arguments, dict) else {}
        checksum = str(given.get("checksum", ""))
        fetches = task.module == "get_url" or (task.module == "uri" and "dest" in given)
        if fetches and not re.match(r"sha256:(?!https?:)\S", checksum):
            yield f"{task.place}: {task.content.get('name')} downloads without a pinned sha256"
        remote = {"unarchive": "src", "apt": "deb", "git": "repo", "pip": "name", "npm": "name"}.get(
            task.module
        )
        if remote and (task.module in ("git", "pip", "npm") or "://" in str(given.get(remote, ""))):
            yield f"{task.place}: {task.content.get('name')} fetches by {task.module} what nobody pinned"
        if task.module in ("command", "shell") and re.search(r"\b(curl|wget)\b", task.text):
            yield f"{task.place}: {task.content.get('name')} downloads with a command"


@rule
def packages_come_through_one_door(project: Project) -> Iterator[str]:
    for role in project.roles.values():
        for task in role.tasks:
            if task.module == "apt" and role.name != "host":
                yield f"{task.place}: {task.content.get('name')} does not install by host's packages"


@rule
def artefacts_are_pinned_by_sha256(project: Project) -> Iterator[str]:
    for place, artefact in _artefacts(project):
        # A key is known by its fingerprint: its file changes whenever its owner says that it is still good.
        known_by = "fingerprint" if "fingerprint" in artefact else "sha256"
        missing = {"name", "version", "file", known_by, "sources"} - artefact.keys()
        if "fingerprint" in artefact and not re.fullmatch("[0-9A-F]{40}", str(artefact["fingerprint"])):
            yield f"{place}: {artefact.get('name')} has no whole fingerprint"
        if missing:
            yield f"{place}: {artefact.get('name')} lacks {', '.join(sorted(missing))}"
        for arch, digest in (artefact.get("sha256") or {}).items():
            if arch not in ("all", "amd64", "arm64") or not re.fullmatch("[0-9a-f]{64}", str(digest)):
                yield f"{place}: {artefact.get('name')} has no SHA-256 for {arch}"
        signature = artefact.get("signature")
        if signature is None:
            continue
        whole = re.fullmatch("[0-9A-F]{40}", str(signature.get("fingerprint")))
        if not whole or not str(signature.get("key")).startswith("https://"):
            yield f"{place}: {artefact.get('name')} is signed by no whole fingerprint or unfetched key"
        if {source["kind"] for source in artefact.get("sources", [])} != {"url"}:
            yield f"{place}: {artefact.get('name')} is signed, and has a source that gives no signature"


# Secrets.


@rule
def tasks_with_secrets_are_silent(project: Project) -> Iterator[str]:
    for role in project.roles.values():
        known = {**role.defaults, **role.variables}
        secret = {name for name, value in known.items() if "school_secret" in RENEWAL.sub("", str(value))}
        names = "|".join(sorted(secret)) or "(?!)"
        field = re.compile(rf"\.(client_)?(password|secret)\b|school_secret|\b({names})\b")
        for task in role.tasks:
            if task.module.startswith(("include_", "import_")) or task.module in DISCREET | {""}:
                continue
            text = task.text
            if task.module == "template":
                source = role.path / "templates" / str(task.arguments.get("src"))
                text += source.read_text(encoding="utf-8") if source.is_file() else ""
            if field.search(text) and task.content.get("no_log") is not True:
                yield f"{task.place}: {task.content.get('name')} handles a secret without no_log"


@rule
def secrets_stand_in_no_command(project: Project) -> Iterator[str]:
    for task in project.tasks:
        given = task.arguments
        line = {k: v for k, v in given.items() if k != "stdin"} if isinstance(given, dict) else given
        if task.module in ("command", "shell") and re.search(
            r"school_secret|\.(password|secret)\b", str(line)
        ):
            yield f"{task.place}: {task.content.get('name')} puts a secret in a command line"


@rule
def every_secret_is_declared(project: Project) -> Iterator[str]:
    for role in project.roles.values():
        if role.name == "app":  # which looks up what follows from declarations
            continue
        declaration = role.variables.get(f"{role.name}_app") or {}
        own = declaration.get("secrets") or role.variables.get(f"{role.name}_secrets") or []
        kinds = {secret["name"]: secret.get("kind", "generated") for secret in own}
        derived = {f"{database['name']}_database" for database in declaration.get("databases") or []}
        if (declaration.get("sign_in") or {}).get("protocol") == "oidc":
            derived.add(f"{role.name}_client")
        used: dict[str, str] = {}
        for path in sorted(role.path.rglob("*")):
            if path in project.files:
                used |= dict(
                    re.findall(r"'school_secret', '(\w+)'(,[^)]*)?", path.read_text(encoding="utf-8"))
                )
        for name in sorted(used.keys() ^ kinds.keys()):
            if name in kinds or name not in derived:
                yield f"{role.name}: the secret {name} is {'declared' if name in kinds else 'used'} only"
        for name in sorted(used.keys() & kinds.keys()):
            if ("generate=false" in used[name]) != (kinds[name] == "provided"):
                yield f"{role.name}: the secret {name} is made where it is provided, or the other way round"
        if set(kinds.values()) - {"provided", "files"} and "rotated" not in role.specs:
            yield f"{role.name}: nothing proves its secrets when they are replaced; give it the door rotated"
        if "kept" in kinds.values() and "rotating" not in role.specs:
            yield f"{role.name}: nothing lets new secrets open what old ones did; give it the door rotating"


# Every file.

# SHA-256, first 16 hex digits, of the names of package registries' hosts: a school's machines ask Debian's
# configured mirrors, and the rest goes through `school artefacts`. Hashed, because no file may name them.
REGISTRIES = {
    "e680c440a2e92079 1ba4e37997a2e986 c2b35955576ffa71 4b602daf23ba2974 2e97613f5a81eaa4": "Debian",
    "26b795f2a123f2a2 04280276b5029dca": "Debian",
    "a0f007d863a0ed19 e514b0d3b0562f54 62f256676f138898": "Ubuntu",
    "a4aa2ac280bb8d1a c899567ee9068517 d6d7019ca9fcbf07": "Python",
    "0dc11026ac75c015 70bb4000cd2fab03": "npm",
    "43c04ed1dabe979b 317d2d52829b7812 b18b7bf677c9e874 bb4897481ebc8b10": "Maven",
    "00a7dc5a0cc38858 9da5f32d96412512": "Go",
    "0e0934be7818eb28": "nobody: the one the self-test names",
}


@rule
def no_registry_is_named(project: Project) -> Iterator[str]:
    owners = {digest: owner for digests, owner in REGISTRIES.items() for digest in digests.split()}
    for place, line in project.lines():
        for host in re.findall(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+", line.lower()):
            if owner := owners.get(hashlib.sha256(host.encode()).hexdigest()[:16]):
                yield f"{place}: names a package registry's host (of {owner})"


@rule
def no_path_of_a_developers_machine(project: Project) -> Iterator[str]:
    paths = re.compile(rf"{re.escape(str(project.root))}\b|(?<![\w.~-])/(home|Users)/(?!me/)\w")
    for place, line in project.lines():
        if paths.search(line):
            yield f"{place}: names a path of somebody's machine"


@rule
def no_example_is_cut_at_a_space(project: Project) -> Iterator[str]:
    # The shell takes such quotes away; Ansible then keeps what stands before the space, and says nothing.
    cut = re.compile(r"""-e \w+=\\?["'][^"']*\s""")
    for place, line in project.lines():
        if cut.search(line) and not _is_about_rules(place):
            yield f"{place}: only the first word of that gets to the playbook; write it without a space"


@rule
def what_comes_of_sets_is_put_in_order(project: Project) -> Iterator[str]:
    # Ansible's filters of sets have another order in each run, and what is written with it changes each time.
    sets = re.compile(r"\|\s*(union|difference|intersect|symmetric_difference)\(")
    for place, line in project.lines():
        for found in sets.finditer(line) if place.startswith(("roles/", "playbooks/", "molecule/")) else ():
            depth, end = 1, found.end()
            while depth and end < len(line):
                depth += {"(": 1, ")": -1}.get(line[end], 0)
                end += 1
            if not re.match(r"[\s)]*\|\s*(sort|length)\b", line[end:]):
                yield f"{place}: {found[1]} has no order; have it sorted"


@rule
def nothing_is_left_for_later(project: Project) -> Iterator[str]:
    # The marks by which a checker is silenced or work put off: this looks for them, and uses none.
    marks = re.compile(r"\b(TODO|FIXME|XXX)\b|#\s*(noqa|nosec|type: ignore(?!\[))\b")
    for place, line in project.lines():
        if marks.search(line) and not _is_about_rules(place):
            yield f"{place}: leaves something for later, or silences a checker"


@rule
def people_can_read_it_in_both_languages(project: Project) -> Iterator[str]:
    folder = project.root / "src" / "schoolstack" / "messages"
    sentences = {path.stem: dict(_flat(load(path))) for path in sorted(folder.glob("*.yml"))}
    for lang, own in sentences.items():
        for other, theirs in sentences.items():
            for key in sorted(theirs.keys() - own.keys()):
                yield f"messages/{lang}.yml lacks {key}, which {other} has"
            for key in sorted(theirs.keys() & own.keys()):
                if lang < other and _placeholders(own[key]) != _placeholders(theirs[key]):
                    yield f"messages: {key} is given other values in {lang} than in {other}"


# Declarations.


@rule
def declarations_follow_the_schema(project: Project) -> Iterator[str]:
    schema_path = project.root / "roles" / "app" / "files" / "declaration.schema.json"
    for role in project.roles.values():
        if role.is_application:
            schema = json.loads(schema_path.read_text(encoding="utf-8"))
            yield from check_declaration(resolve(project.root, role.name), schema, role.name)


@rule
def alerts_lead_to_a_page(project: Project) -> Iterator[str]:
    for role in project.roles.values():
        for alert in role.variables.get(f"{role.name}_app", {}).get("alerts", []):
            page = str(alert.get("how_to", "")).partition("#")[0]
            if not page or not (project.root / page).is_file():
                yield f"{role.name}: the alert {alert.get('name')} leads to no page that says what to do"


@rule
def applications_say_what_concerns_privacy(project: Project) -> Iterator[str]:
    for role in project.roles.values():
        if not role.is_application:
            continue
        declaration = role.variables[f"{role.name}_app"]
        if not declaration.get("telemetry"):
            yield f"{role.name}: the declaration does not say of each product that it reports to nobody"
        if declaration.get("personal_data") and not declaration.get("person"):
            yield f"{role.name}: it keeps personal data and declares no door for one person's (person)"


def _variable(role: str, door: str) -> str:
    """Return the name of the one variable that a door takes."""
    return COMMON_DOORS.get(door) or SHARED_DOORS.get(role, f"{role}_{door}")


def _artefacts(project: Project) -> Iterator[tuple[str, dict[str, Any]]]:
    for role in project.roles.values():
        for artefact in role.variables.get(f"{role.name}_artefacts", []):
            yield f"roles/{role.name}/vars", artefact


def _without_comments(path: Path) -> str:
    return re.sub(r"(?m)^\s*#.*$", "", path.read_text(encoding="utf-8", errors="replace"))


def _is_about_rules(place: str) -> bool:
    """Whether a file speaks of what it forbids."""
    return place.startswith("tests/contract/")


def _flat(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, str(value)


def _placeholders(sentence: str) -> set[str]:
    return set(re.findall(r"\{(\w+)", sentence))
