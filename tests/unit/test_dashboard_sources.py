"""Dashboards: what they ask, in which words, and what is said of a question without an answer."""

from __future__ import annotations

import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs

import pytest
import yaml
from plugin import load

from schoolstack.dashboards import Board, metrics, of_application, of_school, queries
from schoolstack.labs.room import metrics as seats_in_numbers
from schoolstack.messages import LANGUAGES, speaking
from schoolstack.reference.declarations import applications, resolve

ROOT = Path(__file__).parents[2]
DECLARED = {name: resolve(ROOT, name) for name in applications(ROOT)}
# By the first word of a metric's name, the program that tells it: one that the role monitoring runs,
# Prometheus itself, or an application that declares metrics.
TOLD_BY = {
    "ALERTS": "prometheus",
    "up": "prometheus",
    "node": "prometheus-node-exporter",
    "schoolstack": "prometheus-node-exporter",
    "namedprocess": "prometheus-process-exporter",
    "probe": "prometheus-blackbox-exporter",
    "pg": "prometheus-postgres-exporter",
    "agroal": "keycloak",
    "http": "keycloak",
    "jvm": "keycloak",
    "grafana": "grafana",
    "nextcloud": "nextcloud",
    "loki": "loki",
    "process": "grafana",
}


def boards(lang: str = "en") -> list[Board]:
    with speaking(lang):
        return [*of_school(), *(of_application(one, "server") for one in DECLARED.values())]


def content(board: Board) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(board.json())
    return parsed


# What stands on them


def test_each_application_has_one_without_a_line_about_it() -> None:
    names = {board.uid for board in boards()}
    assert {f"app-{name.replace('_', '-')}" for name in DECLARED} <= names
    assert len(names) == len(boards())
    assert all(len(name) <= 40 for name in names)


def test_what_an_application_declares_is_on_its_own() -> None:
    told = [query.expr for query in queries(of_application(DECLARED["keycloak"], "server").json())]
    assert {panel["expr"] for panel in DECLARED["keycloak"]["dashboard"]} <= set(told)
    assert any('datname="keycloak"' in expr for expr in told)
    assert any('name=~"keycloak[.]service"' in expr for expr in told)


def test_what_an_application_keeps_in_memory_is_among_its_programs() -> None:
    cached = {**DECLARED["keycloak"], "caches": [{"engine": "valkey", "name": "keycloak", "memory_mb": 64}]}
    told = [query.expr for query in queries(of_application(cached, "server").json())]
    assert any('name=~"keycloak[.]service|keycloak-valkey[.]service"' in expr for expr in told)


def test_only_one_of_them_is_for_everybody_and_it_gives_nothing_away() -> None:
    (shared,) = [board for board in boards() if board.everybody]
    assert shared.uid == "school"
    # Sentences name packages, paths and programs: those are for coordinators.
    assert "sentence" not in shared.json()


def test_the_school_fits_on_one_screen() -> None:
    panels = content(boards()[0])["panels"]
    # A row of Grafana's grid is 30 pixels high and 8 apart: on 1080 lines some 24 of them are seen.
    assert max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in panels) <= 24
    assert {one["type"] for one in panels} == {"stat"}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_lights_are_words_in_the_language(lang: str) -> None:
    words = {"en": ["Good", "Look at this", "Wrong"], "nl": ["Goed", "Bekijk dit", "Fout"]}[lang]
    light = content(boards(lang)[0])["panels"][0]
    (mapping,) = light["fieldConfig"]["defaults"]["mappings"]
    shown = [(mapping["options"][str(n)]["text"], mapping["options"][str(n)]["color"]) for n in range(3)]
    assert shown == list(zip(words, ["green", "orange", "red"], strict=True))


def test_the_languages_differ_in_words_alone() -> None:
    english, dutch = boards("en"), boards("nl")
    asked = [[query.expr for board in one for query in queries(board.json())] for one in (english, dutch)]
    assert asked[0] == asked[1]
    assert content(english[0])["title"] != content(dutch[0])["title"]


def test_panels_stand_side_by_side_and_have_a_heading() -> None:
    for board in boards():
        taken: set[tuple[int, int]] = set()
        numbers = [panel["id"] for panel in content(board)["panels"]]
        assert numbers == list(range(1, len(numbers) + 1))
        for panel in content(board)["panels"]:
            assert panel["title"]
            place = panel["gridPos"]
            cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
            assert not cells & taken, f"{board.uid}: {panel['title']} lies on another panel"
            assert place["x"] + place["w"] <= 24
            taken |= cells


def test_every_panel_asks_the_one_data_source() -> None:
    text = (ROOT / "roles/grafana/templates/provisioning/datasources.yaml.j2").read_text(encoding="utf-8")
    always = text.partition("{% if")[0]
    source = yaml.safe_load(
        always.replace("{{ monitoring_interval_s }}", "30").replace("# {{ ansible_managed }}", "")
    )["datasources"][0]
    found = {
        (panel["datasource"]["type"], panel["datasource"]["uid"])
        for board in boards()
        for panel in content(board)["panels"]
    }
    assert found == {(source["type"], source["uid"])}


# What they ask


def test_metrics_are_read_out_of_a_query() -> None:
    expr = '100 * sum by (server) (rate(a_total{x=~"b.*",y="c\\"d"}[5m])) / on (server) max(e) or vector(0)'
    assert metrics(expr) == {"a_total", "e"}


def test_every_metric_is_told_by_a_program_that_runs() -> None:
    variables = yaml.safe_load((ROOT / "roles/monitoring/vars/main.yml").read_text(encoding="utf-8"))
    programs = {one["name"] for one in variables["__monitoring_all_programs"]}
    told = {name for name, declared in DECLARED.items() if "metrics" in declared}
    asked = {name for board in boards() for query in queries(board.json()) for name in metrics(query.expr)}
    unknown = {name for name in asked if TOLD_BY.get(name.split("_")[0]) not in programs | told}
    assert not unknown


def test_an_application_asks_for_its_own_alone() -> None:
    for name, declaration in DECLARED.items():
        for panel in declaration.get("dashboard", []):
            for metric in metrics(panel["expr"]):
                # Of one without metrics of its own, the server tells what its programs take, by their names.
                of_programs = metric.startswith("namedprocess_") and "groupname=~" in panel["expr"]
                assert TOLD_BY[metric.split("_")[0]] == name or of_programs


def test_a_room_tells_what_its_dashboard_asks() -> None:
    steps = [
        {"passed": 12.0, "hints": [{"number": 0}]},
        {"passed": None, "hints": []},
    ]
    text = seats_in_numbers([{"lesson": "own-server", "seat": "7", "steps": steps}, None])
    assert 'schoolstack_seat_steps{lesson="own-server",seat="7"} 2\n' in text
    assert 'schoolstack_seat_passed{lesson="own-server",seat="7"} 1\n' in text
    assert 'schoolstack_seat_hints{lesson="own-server",seat="7"} 1\n' in text
    (room,) = [board for board in boards() if board.uid == "room"]
    asked = {name for query in queries(room.json()) for name in metrics(query.expr)}
    own = {name for name in asked if name.startswith("schoolstack_")}
    assert own == {line.split("{")[0] for line in text.splitlines() if not line.startswith("#")}


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not on this machine")
def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    asked = sorted({query.expr for board in boards() for query in queries(board.json())})
    rules = [{"record": f"school:query_{n}", "expr": expr} for n, expr in enumerate(asked)]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# A question without an answer


class Prometheus(http.server.BaseHTTPRequestHandler):
    """Answers what it knows, understands no question with a (( in it."""

    known: ClassVar[dict[str, int]] = {}
    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        given = self.rfile.read(int(self.headers["Content-Length"])).decode()
        expr = parse_qs(given)["query"][0]
        self.asked.append(expr)
        self.send_response(400 if "((" in expr else 200)
        self.end_headers()
        after = self.known.get(expr, 10**6)
        result = [{"value": [0, "1"]}] if self.asked.count(expr) > after else []
        self.wfile.write(json.dumps({"data": {"result": result}}).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def prometheus(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(Prometheus, "known", {"here": 0, "late": 2})
    monkeypatch.setattr(Prometheus, "asked", [])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Prometheus)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    module = load("modules/dashboard_queries.py")
    monkeypatch.setattr(module, "PAUSE_S", 0.01)

    def asking(url: str, *exprs: str, wait_s: float = 1.0) -> dict[str, Any]:
        asked = [{"board": "B", "panel": f"P{n}", "expr": expr} for n, expr in enumerate(exprs)]
        found: dict[str, Any] = module.ask(url, asked, wait_s)
        return found

    return asking


def test_what_comes_late_is_waited_for(ask: Callable[..., dict[str, Any]], prometheus: str) -> None:
    assert ask(prometheus, "here", "late") == {"empty": [], "wrong": [], "silent": ""}
    assert Prometheus.asked.count("here") == 1, "what has its answer is asked no more"


def test_a_question_without_an_answer_is_told_in_a_sentence(
    ask: Callable[..., dict[str, Any]], prometheus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHOOL_LANGUAGE", "en")
    action = load("action/dashboards_answer.py")
    found = ask(prometheus, "here", "never", "max((", wait_s=0.05)
    assert action.sentences(found, prometheus) == [
        "On the dashboard B, P2 asks something that Prometheus does not understand (max((): mend it.",
        "On the dashboard B, P1 gets no answer from Prometheus (never): see that what it counts runs and is "
        "watched, or mend the query.",
    ]


def test_nobody_has_to_read_more_than_a_few(
    ask: Callable[..., dict[str, Any]], prometheus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHOOL_LANGUAGE", "en")
    action = load("action/dashboards_answer.py")
    found = ask(prometheus, *(f"never_{n}" for n in range(9)), wait_s=0.05)
    told = action.sentences(found, prometheus)
    assert len(told) == 6
    assert told[-1].startswith("And 4 more of these")


def test_where_prometheus_is_silent_that_alone_is_told(
    ask: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHOOL_LANGUAGE", "en")
    action = load("action/dashboards_answer.py")
    found = ask("http://127.0.0.1:9", "here", "never", wait_s=0.05)
    (sentence,) = action.sentences(found, "http://127.0.0.1:9")
    assert sentence.startswith("Prometheus does not answer at http://127.0.0.1:9 (")
