"""The progress callback: what a coordinator reads, what Molecule reads, and what nobody may read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLAY = """
- name: Make the server ready
  hosts: all
  any_errors_fatal: true
  gather_facts: false
  tasks:
    - name: Write the greeting
      ansible.builtin.copy: {content: "hello\\n", dest: "{{ folder }}/greeting", mode: "0644"}
    - name: Write the key
      ansible.builtin.copy: {content: "s3cr3t\\n", dest: "{{ folder }}/key", mode: "0600"}
      no_log: true
    - name: Look at a value
      ansible.builtin.debug: {msg: a word to the reader}
    - name: Refuse
      ansible.builtin.fail: {msg: "Port 443 is taken by apache2: stop it."}
      when: trouble in ['plain', inventory_hostname]
    - name: Use the key
      ansible.builtin.command: {argv: [sh, -c, "echo s3cr3t; exit 3"]}
      no_log: true
      when: trouble == 'secret'
"""


@pytest.fixture
def run(tmp_path: Path):
    (tmp_path / "play.yml").write_text(PLAY, encoding="utf-8")

    def run(*words: str, trouble: str = "none", language: str = "en") -> str:
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "server,", "-c", "local"]
        command += [
            "-e",
            f"folder={tmp_path}",
            "-e",
            f"trouble={trouble}",
            *words,
            str(tmp_path / "play.yml"),
        ]
        environment = os.environ | {
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
            "ANSIBLE_STDOUT_CALLBACK": "school",
            "PYTHONPATH": str(ROOT / "src"),
            "SCHOOL_LANGUAGE": language,
        }
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            check=False,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return done.stdout

    return run


def test_says_what_would_change_then_what_did_then_that_nothing_had_to(run):
    looking, first, second = run("--check", "--diff"), run(), run()
    assert "would change on server: Write the greeting" in looking
    assert "+hello" in looking
    assert "2 things would change on server" in looking
    assert "changed on server: Write the greeting" in first
    assert "2 things changed on server" in first
    assert "changed on server" not in second
    assert "Nothing had to change on server" in second
    assert "a word to the reader" in second
    # What `molecule idempotence` looks for.
    assert "changed=2" in first
    assert "changed=0" in second


def test_speaks_dutch(run):
    assert "2 dingen zouden veranderen op server" in run("--check", language="nl")


def test_a_failure_starts_with_the_plain_message(run):
    lines = [line.strip() for line in run(trouble="plain").splitlines()]
    place = next(number for number, line in enumerate(lines) if line.endswith("FAILED on server: Refuse"))
    assert lines[place + 1] == "Port 443 is taken by apache2: stop it."
    assert any('it stopped at "Refuse"' in line for line in lines)


def test_a_server_that_another_held_up_is_not_called_finished(run):
    output = run("-i", "other,", trouble="other")
    assert 'other is not finished: it stopped at "Refuse"' in output
    assert "server is not finished either: the run ended because of other." in output
    assert "Nothing had to change on server" not in run("-i", "other,", trouble="other")


@pytest.mark.parametrize("verbosity", [(), ("-vvv", "--diff")])
def test_a_secret_is_never_shown(run, verbosity):
    output = run(*verbosity, trouble="secret")
    assert "FAILED on server: Use the key" in output
    assert "s3cr3t" not in output


def test_a_play_for_an_application_that_the_school_does_not_have_is_not_mentioned(tmp_path: Path) -> None:
    plays = """
- {name: "For those who have it", hosts: "{{ groups.files | default([]) }}", gather_facts: false}
- {name: "For a group that is misspelt", hosts: "server:!server", gather_facts: false}
"""
    (tmp_path / "play.yml").write_text(plays, encoding="utf-8")
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "server,", "-c", "local"]
    environment = os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "SCHOOL_LANGUAGE": "en"}
    done = subprocess.run(
        [*command, str(tmp_path / "play.yml")], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "For those who have it" not in done.stdout
    assert "For a group that is misspelt" in done.stdout
    assert done.stdout.count("nothing was done") == 1
