"""The house follows its rules, and each rule is shown to see a breach."""

from __future__ import annotations

from pathlib import Path

import pytest
from house import Project
from rules import RULES

ROOT = Path(__file__).parents[2]

META = "galaxy_info: {license: AGPL-3.0-or-later, description: x}\ndependencies: []\n"
SPEC = "argument_specs: {main: {short_description: x, options: {}}}\n"
APP = "b_app: {name: b}\n"
# Put together here, so that this file does not itself breach the rules it tests.
REGISTRY = ".".join(["packages", "registry", "example"])
HOME = "/".join(["", "home", "noor"])
SECRET = "lookup('school_secret', 'x')"


def task(text: str, role: str = "a") -> dict[str, str]:
    """Return the files of a role whose only task has this content."""
    return {f"roles/{role}/tasks/main.yml": f"- name: Do it\n  {text}\n"}


def called(name: str, entry: str, role: str = "a", given: str = "") -> dict[str, str]:
    return task(
        f"ansible.builtin.include_role: {{name: {name}, tasks_from: {entry}}}\n  vars: {{{given}}}", role
    )


# One breach each: the rule, and the files in which it must see one. What is forbidden everywhere else (errors
# ignored, certificates not verified, the latest version, tasks kept from tests, marks for later) stands here
# as text that is only read, never run: without it nothing would show that its rule still bites.
BREACHES: list[tuple[str, dict[str, str]]] = [
    ("every_role_says_what_it_is", {"roles/a/meta/argument_specs.yml": SPEC}),
    ("every_role_says_what_it_is", {"roles/a/meta/main.yml": META}),
    (
        "every_role_says_what_it_is",
        {"roles/a/meta/argument_specs.yml": SPEC, "roles/a/meta/main.yml": META.replace("[]", "[{role: b}]")},
    ),
    ("specs_and_defaults_hold_the_same", {"roles/a/defaults/main.yml": "a_x: 1\n"}),
    (
        "specs_and_defaults_hold_the_same",
        {"roles/a/meta/argument_specs.yml": SPEC.replace("options: {}", "options: {a_x: {type: int}}")},
    ),
    (
        "specs_and_defaults_hold_the_same",
        {
            "roles/a/meta/argument_specs.yml": SPEC.replace("options: {}", "options: {a_x: {default: 2}}"),
            "roles/a/defaults/main.yml": "a_x: 1\n",
        },
    ),
    (
        "every_option_is_described",
        {
            "roles/a/meta/argument_specs.yml": SPEC.replace(
                "options: {}", "options: {a_x: {type: dict, description: x, options: {y: {type: int}}}}"
            )
        },
    ),
    (
        "a_door_takes_one_variable",
        {
            "roles/a/meta/argument_specs.yml": "argument_specs: {site: {options: {a_site: , a_more: }}}\n",
            "roles/a/tasks/site.yml": "[]\n",
        },
    ),
    ("a_door_takes_one_variable", {"roles/a/meta/argument_specs.yml": SPEC.replace("main", "site")}),
    ("only_doors_are_called", called("a", "inner") | {"roles/a/meta/argument_specs.yml": SPEC}),
    (
        "only_doors_are_called",
        called("b", "site", given="b_other: 1")
        | {"roles/b/meta/argument_specs.yml": "argument_specs: {site: {options: {b_site: {}}}}\n"},
    ),
    ("variables_carry_the_roles_name", {"roles/a/defaults/main.yml": "port: 1\n"}),
    ("variables_carry_the_roles_name", task("ansible.builtin.command: x\n  register: result")),
    ("variables_carry_the_roles_name", task("ansible.builtin.set_fact: {thing: 1}")),
    ("no_fact_is_set_over_a_users_variable", task("ansible.builtin.set_fact: {a_thing: 1}")),
    (
        "what_an_application_is_given_can_be_taken_away",
        {
            "roles/app/tasks/publish.yml": task("include_role: {name: b, tasks_from: d}")[
                "roles/a/tasks/main.yml"
            ]
        },
    ),
    (
        "platform_roles_name_no_application",
        {"roles/b/vars/main.yml": APP, "roles/a/templates/x.j2": "for b only\n"},
    ),
    ("applications_go_through_app", {"roles/b/vars/main.yml": APP} | called("nginx", "site", "b")),
    ("applications_go_through_app", {"roles/b/vars/main.yml": APP} | called("b", "client")),
    ("main_reads_like_a_table_of_contents", task("\n  ".join(["vars:", *["  a_x: 1"] * 70]))),
    ("tasks_and_handlers_speak", {"roles/a/tasks/x.yml": "- ansible.builtin.command: x\n"}),
    (
        "tasks_and_handlers_speak",
        {"roles/a/tasks/x.yml": "- name: lower case\n  ansible.builtin.command: x\n"},
    ),
    ("tasks_and_handlers_speak", {"roles/a/tasks/x.yml": "- name: A block\n  block: [{meta: noop}]\n"}),
    (
        "tasks_and_handlers_speak",
        {"roles/a/handlers/main.yml": "- name: Restart\n  ansible.builtin.meta: noop\n"},
    ),
    (
        "tasks_and_handlers_speak",
        {"playbooks/x.yml": "- hosts: all\n  tasks: [{ansible.builtin.meta: noop}]\n"},
    ),
    ("failures_are_not_waved_through", task("ansible.builtin.command: x\n  ignore_errors: true")),
    ("failures_are_not_waved_through", task("ansible.builtin.command: x\n  failed_when: false")),
    ("certificates_are_verified", task("ansible.builtin.uri: {url: 'https://x', validate_certs: false}")),
    ("certificates_are_verified", {"src/x.py": "requests.get(url, verify=False)\n"}),
    ("certificates_are_verified", {"x.sh": "curl -sk https://x\n"}),
    ("nothing_is_the_latest", task("ansible.builtin.apt: {name: x, state: latest}")),
    ("nothing_is_the_latest", {"roles/a/vars/artefacts.yml": "a_artefacts: [{name: x, version: newest}]\n"}),
    ("no_task_is_kept_from_a_test", task("ansible.builtin.command: x\n  tags: molecule-idempotence-notest")),
    ("a_rescue_states_its_recovery", {"roles/a/tasks/x.yml": "- block: []\n  rescue:\n    - meta: noop\n"}),
    ("packages_come_through_one_door", task("ansible.builtin.apt: {name: x}")),
    ("downloads_are_pinned", task("ansible.builtin.get_url: {url: 'https://x/y', dest: /y}")),
    (
        "downloads_are_pinned",
        task(
            "ansible.builtin.get_url: {url: 'https://x/y', dest: /y, checksum: 'sha256:https://x/y.sha256'}"
        ),
    ),
    ("downloads_are_pinned", task("ansible.builtin.uri: {url: 'https://x/y', dest: /y}")),
    (
        "downloads_are_pinned",
        task("ansible.builtin.unarchive: {src: 'https://x/y.tar.gz', remote_src: true}"),
    ),
    ("downloads_are_pinned", task("ansible.builtin.pip: {name: x}")),
    ("downloads_are_pinned", task("ansible.builtin.command: {argv: [wget, 'https://x/y']}")),
    (
        "artefacts_are_pinned_by_sha256",
        {"roles/a/vars/artefacts.yml": "a_artefacts: [{name: x, version: 1}]\n"},
    ),
    (
        "artefacts_are_pinned_by_sha256",
        {
            "roles/a/vars/artefacts.yml": "a_artefacts: [{name: x, version: 1, file: x, sources: [],"
            " sha256: {all: abc}}]\n"
        },
    ),
    (
        "artefacts_are_pinned_by_sha256",
        {
            "roles/a/vars/artefacts.yml": "a_artefacts: [{name: x, version: 1, file: x, sources: [],"
            " fingerprint: 12AB}]\n"
        },
    ),
    *(
        (
            "artefacts_are_pinned_by_sha256",
            {
                "roles/a/vars/artefacts.yml": "a_artefacts: [{name: x, version: 1, file: x,"
                f" sources: [{source}], sha256: {{all: {'0' * 64}}},"
                f" signature: {{fingerprint: {by}, key: {key}}}}}]\n"
            },
        )
        for source, by, key in (
            ("{kind: url, url: x}", "12AB", "'https://x.example/key'"),
            ("{kind: url, url: x}", "A" * 40, "'http://x.example/key'"),
            ("{kind: maven, group: x}", "A" * 40, "'https://x.example/key'"),
        )
    ),
    (
        "tasks_with_secrets_are_silent",
        task(f'ansible.builtin.copy: {{content: "{{{{ {SECRET} }}}}", dest: /x}}'),
    ),
    (
        "tasks_with_secrets_are_silent",
        {"roles/a/vars/main.yml": f'__a_key: "{{{{ {SECRET} }}}}"\n'}
        | task('ansible.builtin.copy: {content: "{{ __a_key }}", dest: /x}'),
    ),
    (
        "tasks_with_secrets_are_silent",
        {"roles/a/templates/x.j2": "password={{ a_door.password }}\n"}
        | task("ansible.builtin.template: {src: x.j2, dest: /x}"),
    ),
    ("every_secret_is_declared", {"roles/a/templates/x.j2": f"{{{{ {SECRET} }}}}"}),
    ("every_secret_is_declared", {"roles/a/vars/main.yml": "a_secrets: [{name: x, what: y}]\n"}),
    (
        "every_secret_is_declared",
        {
            "roles/a/vars/main.yml": "a_secrets: [{name: x, what: y, kind: provided}]\n",
            "roles/a/templates/x.j2": f"{{{{ {SECRET} }}}}",
        },
    ),
    (
        "every_secret_is_declared",
        {
            "roles/a/vars/main.yml": "a_secrets: [{name: x, what: y}]\n",
            "roles/a/templates/x.j2": f"{{{{ {SECRET} }}}}",
        },
    ),
    ("secrets_stand_in_no_command", task('ansible.builtin.command: {argv: [x, "{{ a_door.password }}"]}')),
    ("no_registry_is_named", {"x.md": f"See https://{REGISTRY}/x\n"}),
    ("no_path_of_a_developers_machine", {"x.md": f"cd {HOME}/project\n"}),
    ("no_path_of_a_developers_machine", {"x.md": "cd {root}/project\n"}),
    ("no_example_is_cut_at_a_space", {"x.md": 'restore.yml -e restore_at="2026-11-20 14:30"\n'}),
    (
        "what_comes_of_sets_is_put_in_order",
        {"roles/a/vars/main.yml": "__a: \"{{ b | union(c | default([])) | join(' ') }}\"\n"},
    ),
    ("what_comes_of_sets_is_put_in_order", {"roles/a/templates/x.j2": "{{ a | difference(b) }}\n"}),
    ("nothing_is_left_for_later", {"x.py": "# TODO: finish\n"}),
    ("nothing_is_left_for_later", {"x.py": "x = 1  # noqa: E501\n"}),
    (
        "people_can_read_it_in_both_languages",
        {"src/schoolstack/messages/en.yml": "a: {b: x}\n", "src/schoolstack/messages/nl.yml": "a: {}\n"},
    ),
    (
        "people_can_read_it_in_both_languages",
        {"src/schoolstack/messages/en.yml": "a: '{x}'\n", "src/schoolstack/messages/nl.yml": "a: '{y}'\n"},
    ),
    (
        "declarations_follow_the_schema",
        {
            "roles/app/files/declaration.schema.json": '{"required": ["title"]}',
            "roles/b/vars/main.yml": APP,
        },
    ),
    ("alerts_lead_to_a_page", {"roles/b/vars/main.yml": "b_app: {name: b, alerts: [{name: X}]}\n"}),
    (
        "alerts_lead_to_a_page",
        {"roles/b/vars/main.yml": "b_app: {name: b, alerts: [{name: X, how_to: docs/how-to/none.md}]}\n"},
    ),
    (
        "applications_say_what_concerns_privacy",
        {"roles/b/vars/main.yml": "b_app: {name: b, personal_data: [], person: {none: x}}\n"},
    ),
    (
        "applications_say_what_concerns_privacy",
        {"roles/b/vars/main.yml": "b_app: {name: b, personal_data: [{what: x}], telemetry: [{}]}\n"},
    ),
]


@pytest.mark.parametrize("name", RULES)
def test_the_house_follows(name: str) -> None:
    breaches = list(RULES[name](Project(ROOT)))
    assert not breaches, "\n" + "\n".join(breaches)


@pytest.mark.parametrize(
    ("name", "files"), BREACHES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_breach_is_seen(name: str, files: dict[str, str], tmp_path: Path) -> None:
    for path, content in files.items():
        place = tmp_path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content.replace("{root}", str(tmp_path)), encoding="utf-8")
    assert list(RULES[name](Project(tmp_path)))


def test_every_rule_has_been_seen_to_bite() -> None:
    assert {name for name, _ in BREACHES} == set(RULES)
