"""`deploy/prometheus/`: rules and dashboard, judged by Prometheus's own tool."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from app.domain import metrics

FOLDER = Path(__file__).parent.parent / "deploy/prometheus"
RULES = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
EXPRESSIONS = {
    **{rule["alert"]: rule["expr"] for rule in RULES},
    **{
        f"{panel['title']}, {target['refId']}": target["expr"]
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
    },
}
FAULTS = ["sum by (", "rate(dispatch_answer_seconds_count)", "histogram_quantile(0.99)", "a b"]


def promtool(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Prometheus's own tool; the test is skipped where there is none."""
    if (tool := shutil.which("promtool")) is None:
        pytest.skip("There is no promtool on this machine.")
    command = [tool, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def check(folder: Path, rules: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    file = folder / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "test", "rules": rules}]}))
    return promtool("check", "rules", file)


def test_rules_and_dashboard_are_right(tmp_path: Path) -> None:
    assert promtool("check", "rules", FOLDER / "alerts.yml").returncode == 0
    rules = [{"record": f"r{n}", "expr": one} for n, one in enumerate(EXPRESSIONS.values())]
    checked = check(tmp_path, rules)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str, tmp_path: Path) -> None:
    assert check(tmp_path, [{"record": "r", "expr": fault}]).returncode != 0


def shown(client: FlaskClient) -> dict[str, set[str]]:
    """Return every figure that there may be, with the labels it has."""
    answer = client.get("/metrics", headers={"Authorization": "Bearer let-me-see"})
    found: dict[str, set[str]] = {"up": {"job"}}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    for name, labels in _of_nothing_yet():
        found.setdefault(name, set()).update(labels)
    return found


def _of_nothing_yet() -> Iterator[tuple[str, set[str]]]:
    """Yield figures that are not there before something has happened."""
    own = (metrics.answers, metrics.arrivals, metrics.unknown_ids, metrics.requests_waiting)
    for family in own:
        for ending in ("", "_total", "_count", "_bucket"):
            yield family._name + ending, {*family._labelnames, "le"}
    source = Path(metrics.__file__).read_text()
    for name, labels in re.findall(r'"(dispatch_\w+)",[^()]*?labels=\[([^]]*)\]', source):
        yield name, set(re.findall(r'"(\w+)"', labels))


@pytest.mark.settings(METRICS_TOKEN="let-me-see")
@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_each_speaks_of_figures_and_labels_that_there_are(
    expression: str, client: FlaskClient
) -> None:
    known = shown(client)
    named = re.findall(r"\b(dispatch_\w+|up)\b(?:\{([^}]*)\})?", expression)
    assert named
    for name, matchers in named:
        assert name in known
        assert set(re.findall(r"(\w+)=", matchers)) <= known[name]
    grouped = re.findall(r"\b(?:by|on) ?\(([^)]*)\)", expression)
    labels = {one for by in grouped for one in by.split(", ")}
    assert labels <= set().union(*(known[name] for name, _ in named))


SERIES = {
    "DispatchDown": [('up{job="dispatch"}', "0x30")],
    "DispatchDatabaseDown": [("dispatch_database_up", "0x30")],
    "DispatchAnswersFail": [
        ('dispatch_answer_seconds_count{route="/inbound/voice",status="failed"}', "0+3x30")
    ],
    "DispatchRequestsRefused": [
        ('dispatch_answer_seconds_count{route="/inbound/sms",status="4xx"}', "0+30x30")
    ],
    "DispatchAnswersSlow": [
        ('dispatch_answer_seconds_bucket{route="/inbound/sms",le="1"}', "0+90x30"),
        ('dispatch_answer_seconds_bucket{route="/inbound/sms",le="5"}', "0+100x30"),
        ('dispatch_answer_seconds_bucket{route="/inbound/sms",le="+Inf"}', "0+100x30"),
    ],
    "DispatchRequestsQueue": [('dispatch_requests_waiting{pool="answers"}', "150x30")],
    "DispatchProcessMissing": [('dispatch_process_up{process="clock"}', "0x30")],
    "DispatchRedisDown": [("dispatch_redis_up", "0x30")],
    "DispatchDeliveriesLate": [("dispatch_delivery_late_seconds", "90x30")],
    "DispatchReportsLate": [("dispatch_report_age_seconds", "90x30")],
    "DispatchSendingUncertain": [('dispatch_messages{state="unknown"}', "21x30")],
    "DispatchCarriersRefuse": [
        ('dispatch_reported_last_minute{status="undelivered",code="30007"}', "5x30"),
        ('dispatch_reported_last_minute{status="delivered",code=""}', "20x30"),
    ],
    "DispatchSetAside": [('dispatch_set_aside{loop="send"}', "1x30")],
    "DispatchClockWrong": [
        ('dispatch_clock_ahead_seconds{clock="twilio"}', "-4x30"),
        ('dispatch_clock_uncertainty_seconds{clock="twilio"}', "0.5x30"),
    ],
}
"""Figures a minute apart by which each alert has to come within half an hour."""
WELL = [
    ('up{job="dispatch"}', "1x30"), ("dispatch_database_up", "1x30"), ("dispatch_redis_up", "1x30"),
    ('dispatch_process_up{process="clock"}', "1x30"), ("dispatch_delivery_late_seconds", "1x30"),
    ('dispatch_answer_seconds_count{route="/inbound/sms",status="2xx"}', "0+600x30"),
    ('dispatch_clock_ahead_seconds{clock="twilio"}', "-0.4x30"),
    ('dispatch_clock_uncertainty_seconds{clock="twilio"}', "0.5x30"),
    ('dispatch_reported_last_minute{status="undelivered",code="30007"}', "1x30"),
    ('dispatch_reported_last_minute{status="delivered",code=""}', "100x30"),
]  # fmt: skip


def case(series: list[tuple[str, str]], expected: dict[str, bool]) -> dict[str, Any]:
    """Return a test of promtool's: which alerts are there after half an hour of such figures."""
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{name}", alertstate="firing"}})',
                "eval_time": "30m",
                "exp_samples": [{"labels": "{}", "value": 1}] if is_there else [],
            }
            for name, is_there in expected.items()
        ],
    }


def test_each_alert_comes_when_it_should_and_none_when_all_is_well(tmp_path: Path) -> None:
    assert SERIES.keys() == {rule["alert"] for rule in RULES}
    tests = [case(series, {name: True}) for name, series in SERIES.items()]
    tests.append(case(WELL, dict.fromkeys(SERIES, False)))
    file = tmp_path / "test.yml"
    rules = [str(FOLDER / "alerts.yml")]
    file.write_text(
        yaml.safe_dump({"rule_files": rules, "evaluation_interval": "1m", "tests": tests})
    )
    tested = promtool("test", "rules", file)
    assert tested.returncode == 0, tested.stdout + tested.stderr
