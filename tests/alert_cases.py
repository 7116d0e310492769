"""For each alert: series of a quiet hour, then of its trouble for 140 minutes, then of eight quiet hours.

promtool evaluates the rules over them, one process for all: nothing may fire before the trouble, each alert has to fire
in it, and nothing may be left afterwards. An alert that is about a series that is not there has a scenario of its own,
where its series are missing for those 140 minutes. The Watchdog has to fire at all times.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jinja2
import yaml

ROLES = Path(__file__).resolve().parents[1] / "roles"
QUIET, TROUBLE, RESOLVED = "55m", "190m", "695m"


def gauge(good: float, bad: float) -> str:
    """A number that changes with the trouble."""
    return f"{good}x59 {bad}x139 {good}x500"


def counter(good: float, bad: float) -> str:
    """A counter that grows by so much a minute."""
    first, then = 59 * good, 59 * good + 140 * bad
    return f"0+{good}x59 {first + bad}+{bad}x139 {then + good}+{good}x500"


def gone(value: float) -> str:
    """A series that is not there during the trouble."""
    return f"{value}x59 _x140 {value}x500"


DONE = "0+60x59 3540x139 12000+60x500"  # the time of something that is done each minute, and not in the trouble
FULLER = "50x59 38-0.05x139 50x500"  # in percent
HOST = 'job="host", instance="node-exporter:9100"'
DISK = f'{HOST}, device="/dev/vda1", mountpoint="/state"'
FULL = f'{HOST}, device="/dev/vdb1", mountpoint="/data"'
NAMED = 'job="containers", name="sse-app-1", container="app-1"'
APP = 'job="app", instance="app-1:8000"'
PROMETHEUS = 'job="prometheus", instance="127.0.0.1:9090"'

# By alert: the series that make it fire.
FIRING: dict[str, dict[str, str]] = {
    "TargetDown": {'up{job="redis", instance="redis-exporter:9121"}': gauge(1, 0)},
    "ProcessRestartsOften": {f"process_start_time_seconds{{{APP}}}": counter(0, 60)},
    "FilesRunOut": {f"process_open_fds{{{APP}}}": gauge(10, 95), f"process_max_fds{{{APP}}}": gauge(100, 100)},
    "NetworkNotAsDeclared": {'sse_reach_edges{verdict="leak"}': gauge(0, 1)},
    "NetworkMeasuredLongAgo": {
        "sse_reach_measured_timestamp_seconds": DONE,
        "sse_reach_period_seconds": gauge(3600, 3600),
    },
    "VerificationFailed": {"sse_verify_findings": gauge(0, 2)},
    "CertificateEndsSoon": {
        'sse_certificate_ends_timestamp_seconds{container="sse-nginx"}': gauge(71280000, 86400),
        'sse_certificate_lifetime_seconds{container="sse-nginx"}': gauge(71280000, 71280000),
    },
    "CertificateEnded": {'sse_certificate_ends_timestamp_seconds{container="old"}': gauge(71280000, 3600)},
    "BackupFailed": {"sse_backup_last_ok": gauge(1, 0)},
    "BackupTooOld": {
        "sse_backup_scheduled_timestamp_seconds": gauge(0, 0),
        "sse_backup_last_success_timestamp_seconds": DONE,
        "sse_backup_period_seconds": gauge(3600, 3600),
    },
    "PrometheusConfigNotLoaded": {f"prometheus_config_last_reload_successful{{{PROMETHEUS}}}": gauge(1, 0)},
    "PrometheusRuleFails": {
        f'prometheus_rule_evaluation_failures_total{{{PROMETHEUS}, rule_group="app"}}': counter(0, 1)
    },
    "PrometheusRulesTooSlow": {
        f'prometheus_rule_group_iterations_missed_total{{{PROMETHEUS}, rule_group="app"}}': counter(0, 1)
    },
    "PrometheusStorageFails": {f"prometheus_tsdb_compactions_failed_total{{{PROMETHEUS}}}": counter(0, 1)},
    "PrometheusDropsSamples": {
        f"prometheus_target_scrapes_sample_duplicate_timestamp_total{{{PROMETHEUS}}}": counter(0, 1),
        f"prometheus_target_scrapes_sample_out_of_order_total{{{PROMETHEUS}}}": counter(0, 0),
        f"prometheus_target_scrapes_sample_out_of_bounds_total{{{PROMETHEUS}}}": counter(0, 0),
    },
    "DiskAlmostFull": {
        f"node_filesystem_avail_bytes{{{FULL}}}": gauge(50, 2),
        f"node_filesystem_size_bytes{{{FULL}}}": gauge(100, 100),
    },
    "DiskFull": {},  # the same
    "DiskFillsUp": {
        f"node_filesystem_avail_bytes{{{DISK}}}": FULLER,
        f"node_filesystem_size_bytes{{{DISK}}}": gauge(100, 100),
    },
    "DiskFilesRunOut": {
        f"node_filesystem_files_free{{{DISK}}}": gauge(90, 1),
        f"node_filesystem_files{{{DISK}}}": gauge(100, 100),
    },
    "DiskFails": {f"node_filesystem_device_error{{{DISK}}}": gauge(0, 1)},
    "HostMemoryShort": {
        f"node_memory_MemAvailable_bytes{{{HOST}}}": gauge(50, 2),
        f"node_memory_MemTotal_bytes{{{HOST}}}": gauge(100, 100),
    },
    "HostBusy": {f'node_cpu_seconds_total{{{HOST}, cpu="0", mode="idle"}}': counter(30, 1)},
    "ProcessorsTakenAway": {f'node_cpu_seconds_total{{{HOST}, cpu="0", mode="steal"}}': counter(0, 12)},
    "MemoryKill": {f"node_vmstat_oom_kill{{{HOST}}}": counter(0, 1)},
    "HostMemoryThrashes": {f"node_vmstat_pgmajfault{{{HOST}}}": counter(600, 60000)},
    "HostFilesRunOut": {
        f"node_filefd_allocated{{{HOST}}}": gauge(3000, 95000),
        f"node_filefd_maximum{{{HOST}}}": gauge(100000, 100000),
    },
    "DiskArrayDegraded": {
        f'node_md_disks_required{{{HOST}, device="md0"}}': gauge(2, 2),
        f'node_md_disks{{{HOST}, device="md0", state="active"}}': gauge(2, 1),
        f'node_md_disks{{{HOST}, device="md0", state="failed"}}': gauge(0, 0),
        f'node_md_disks{{{HOST}, device="md0", state="spare"}}': gauge(0, 0),
    },
    "ClockNotSynchronised": {
        f"node_timex_sync_status{{{HOST}}}": gauge(1, 0),
        f"node_timex_maxerror_seconds{{{HOST}}}": gauge(0.03, 16),
    },
    "ClockWrong": {f"node_timex_offset_seconds{{{HOST}}}": gauge(0.001, -0.4)},
    "HostNotMeasured": {
        f'node_scrape_collector_success{{{HOST}, collector="timex"}}': gauge(1, 0),
        f'node_scrape_collector_success{{{HOST}, collector="mdadm"}}': gauge(0, 0),
    },
    "FilesOfMetricsUnreadable": {f"node_textfile_scrape_error{{{HOST}}}": gauge(0, 1)},
    "RedisDown": {"redis_up": gauge(1, 0)},
    "RedisWritesFail": {
        "redis_aof_last_write_status": gauge(1, 0),
        "redis_aof_last_bgrewrite_status": gauge(1, 1),
    },
    "RedisEvicts": {"redis_evicted_keys_total": counter(0, 60)},
    "RedisRefusesClients": {"redis_rejected_connections_total": counter(0, 1)},
    "NginxDown": {"nginx_up": gauge(1, 0)},
    "NginxDropsConnections": {
        "nginx_connections_accepted": counter(60, 60),
        "nginx_connections_handled": counter(60, 30),
    },
    "NginxErrors": {
        'nginx_http_responses_total{route="/api/v1/events", status="200", by="upstream"}': counter(600, 600),
        'nginx_http_responses_total{route="/api/v1/events", status="503", by="nginx"}': counter(0, 60),
    },
    "ContainerDown": {f"sse_container_up{{{NAMED}}}": gauge(1, 0)},
    "ContainerRestartsOften": {f"container_start_time_seconds{{{NAMED}}}": counter(0, 60)},
    "ContainerKilledForMemory": {f"container_oom_events_total{{{NAMED}}}": counter(0, 1)},
    "ContainerMemoryHigh": {
        f"container_memory_working_set_bytes{{{NAMED}}}": gauge(50, 95),
        f"container_spec_memory_limit_bytes{{{NAMED}}}": gauge(100, 100),
    },
    "ContainerThrottled": {
        f"container_cpu_cfs_throttled_periods_total{{{NAMED}}}": counter(0, 300),
        f"container_cpu_cfs_periods_total{{{NAMED}}}": counter(600, 600),
    },
    "ContainerThreadsHigh": {
        f"container_threads{{{NAMED}}}": gauge(50, 95),
        f"container_threads_max{{{NAMED}}}": gauge(100, 100),
    },
    "KafkaPartitionsOffline": {"kafka_controller_offlinepartitionscount": gauge(0, 3)},
    "KafkaBusy": {"kafka_request_handler_idle_ratio": gauge(0.99, 0.1)},
    "KafkaRefusesWrites": {"kafka_broker_failedproducerequests_total": counter(0, 6)},
    "KafkaDiskSlow": {"kafka_log_flush_p99_milliseconds": gauge(3, 2000)},
    "KafkaCollectsGarbage": {'jvm_gc_collection_seconds_sum{job="kafka", gc="Copy"}': counter(1, 30)},
    "NoReplicaReady": {f"sse_ready{{{APP}}}": gauge(1, 0)},
    "ReplicaNotReady": {},  # the same
    "KafkaUnreachable": {f"sse_log_up{{{APP}}}": gauge(1, 0)},
    "RedisUnreachable": {f"sse_redis_up{{{APP}}}": gauge(1, 0)},
    "ConsumerLag": {f"sse_log_lag_records{{{APP}}}": gauge(3, 5000)},
    "PublishesFail": {
        f'sse_publishes_total{{{APP}, outcome="accepted"}}': counter(3000, 3000),
        f'sse_publishes_total{{{APP}, outcome="unknown"}}': counter(1, 300),
    },
    "PublishLatency": {
        f'sse_publish_duration_seconds_bucket{{{APP}, le="1.0"}}': counter(3000, 2000),
        f'sse_publish_duration_seconds_bucket{{{APP}, le="2.0"}}': counter(3000, 3000),
        f'sse_publish_duration_seconds_bucket{{{APP}, le="+Inf"}}': counter(3000, 3000),
    },
    "DeliveryLatency": {
        f'sse_delivery_latency_seconds_bucket{{{APP}, le="1.0"}}': counter(3000, 2000),
        f'sse_delivery_latency_seconds_bucket{{{APP}, le="2.0"}}': counter(3000, 3000),
        f'sse_delivery_latency_seconds_bucket{{{APP}, le="+Inf"}}': counter(3000, 3000),
        f"sse_delivery_latency_seconds_count{{{APP}}}": counter(3000, 3000),
    },
    "Gaps": {
        f'sse_gaps_total{{{APP}, reason="malformed"}}': counter(600, 600),
        f'sse_gaps_total{{{APP}, reason="truncated"}}': counter(0, 60),
    },
    "SlowReaders": {
        f'sse_streams_ended_total{{{APP}, reason="client"}}': counter(600, 600),
        f'sse_streams_ended_total{{{APP}, reason="slow"}}': counter(0, 60),
    },
    # It is about the change: only what goes on falling fires for long.
    "StreamsFell": {
        f"sse_subscribers{{{APP}}}": "900000x59 900000x119 400000 190000 90000 44000 21000 10000 4900 2400 "
        "1200 600 300 150 70 40 20 10 5 4 3 2x501"
    },
    "Refusals": {
        f'sse_decisions_total{{{APP}, outcome="allowed"}}': counter(6000, 6000),
        f'sse_decisions_total{{{APP}, outcome="refused"}}': counter(6, 600),
    },
    "RefusalsNotLogged": {f"sse_audit_dropped_total{{{APP}}}": counter(0, 60)},
    "KeysRefused": {f"sse_credential_files_refused{{{APP}}}": gauge(0, 1)},
    "IssuerFails": {f"sse_issuers_failing{{{APP}}}": gauge(0, 1)},
    "Limited": {f'sse_limited_total{{{APP}, limit="publish"}}': counter(6, 600)},
    "ErrorBudgetBurnsFast": {},  # the publishes and the deliveries above
    "ErrorBudgetBurnsSlowly": {},
    "AlertsNotDelivered": {
        'alertmanager_notification_requests_failed_total{receiver_name="email", integration="email"}': counter(0, 1)
    },
    "AlertReceiversRefused": {"alertmanager_config_last_reload_successful": gauge(1, 0)},
    "AlertsNotSent": {
        f"prometheus_notifications_errors_total{{{PROMETHEUS}}}": counter(0, 1),
        f"prometheus_notifications_dropped_total{{{PROMETHEUS}}}": counter(0, 0),
        f"prometheus_notifications_alertmanagers_discovered{{{PROMETHEUS}}}": gauge(1, 1),
    },
    "CanaryLost": {'sse_canary_lost_total{replica="app-1"}': counter(0, 1)},
    "CanaryDoubled": {'sse_canary_doubled_total{replica="app-1"}': counter(0, 1)},
    "CanaryLate": {'sse_canary_late_seconds{replica="app-1"}': gauge(0, 20)},
    "CanaryCannotPublish": {
        'sse_canary_publishes_total{outcome="accepted"}': counter(6, 0),
        'sse_canary_publishes_total{outcome="failed"}': counter(0, 6),
    },
    "CanaryNoStream": {
        'sse_canary_stream_open{replica="app-1"}': gauge(1, 0),
        'sse_canary_stream_open{replica="nginx"}': gauge(1, 0),
    },
    "CanaryStopped": {"sse_canary_round_timestamp_seconds": DONE},
    "AcmeFailed": {"sse_acme_failures": gauge(1, 3)},
    "Watchdog": {},  # needs none
}
# The same for alerts that exclude some of those, mostly because a series is not there. MetricsAbsent stands for one
# rule in each job.
ABSENT: dict[str, dict[str, str]] = {
    "MetricsAbsent": {
        "sse_ready": gone(1),
        "redis_up": gone(1),
        "nginx_up": gone(1),
        "sse_container_up": gone(1),
        "node_filesystem_avail_bytes": gone(1),
        "kafka_request_handler_idle_ratio": gone(1),
    },
    "NetworkNotMeasured": {'sse_reach_edges{verdict="reached"}': gone(9)},
    "CertificateNotMeasured": {"sse_certificate_ends_timestamp_seconds": gone(71280000)},
    "BackupNotMeasured": {"sse_backup_scheduled_timestamp_seconds": gone(0)},
    "NoReplicaReady": {},  # none is there
    # As where it was never synchronised, and nobody can say that something broke.
    "ClockNotSynchronised": {
        f"node_timex_sync_status{{{HOST}}}": gauge(0, 0),
        f"node_timex_maxerror_seconds{{{HOST}}}": gauge(0.03, 16),
    },
    "CanaryStopped": {"sse_canary_round_timestamp_seconds": "0+60x59 _x140 12000+60x500"},
    # That nothing is published then is meant, and neither CanaryCannotPublish nor NginxErrors says anything of it.
    "PublishingPaused": {
        f"sse_publishing_paused{{{APP}}}": gauge(0, 1),
        'sse_canary_publishes_total{outcome="accepted"}': counter(6, 0),
        'sse_canary_publishes_total{outcome="failed"}': counter(0, 6),
        'nginx_http_responses_total{route="/api/v1/events", status="200", by="upstream"}': counter(600, 600),
        'nginx_http_responses_total{route="/api/v1/events", status="503", by="upstream"}': counter(0, 60),
    },
    "Watchdog": {},
}
# The same where all of those series are there, and one of them stands still.
UNCOUNTED: dict[str, dict[str, str]] = {
    "NginxAnswersNotCounted": {
        'sse_canary_publishes_total{outcome="accepted"}': counter(6, 6),
        'nginx_http_responses_total{route="/api/v1/events", status="200", by="upstream"}': counter(60, 0),
        "sse_canary_round_timestamp_seconds": "0+60x699",
    },
    "Watchdog": {},
}
# What somebody wanted, so that nothing may fire: five releases within an hour, and alerts before anybody is called.
MEANT: dict[str, str] = {
    f"container_start_time_seconds{{{NAMED}}}": "0x139 60x9 120x9 180x9 240x9 300x520",
    f"process_start_time_seconds{{{APP}}}": "0x139 60x9 120x9 180x9 240x9 300x520",
    **{f'sse_release_info{{number="{number}"}}': gauge(1, 1) for number in range(1, 6)},
    f"prometheus_notifications_dropped_total{{{PROMETHEUS}}}": counter(0, 10),
    f"prometheus_notifications_alertmanagers_discovered{{{PROMETHEUS}}}": gauge(0, 0),
    "sse_canary_round_timestamp_seconds": "0+60x699",
}


def rules() -> str:
    """Render the rules of all roles, whatever a host has of them, without Ansible."""
    environment = jinja2.Environment(trim_blocks=True, autoescape=False)
    environment.filters |= {"to_json": json.dumps, "combine": lambda one, other: {**one, **other}}
    metrics: list[dict[str, Any]] = []
    for path in sorted([*ROLES.glob("*/files/*alerts.yml"), ROLES / "alerts/files/watchdog.yml"]):
        role = path.parts[-3]
        if role != "prometheus":
            objectives = path.with_name("objectives.yml")
            own = {"objectives": read(objectives)} if path.stem == "alerts" and objectives.exists() else {}
            metrics.append({"job": f"{role} {path.stem}", "alerts": read(path), **own})
    files = ROLES / "prometheus/files"
    return environment.from_string((ROLES / "prometheus/templates/alerts.yml.j2").read_text()).render(
        __prometheus_alerts=read(files / "alerts.yml") + read(files / "backup_alerts.yml"),
        __prometheus_burns=read(files / "burns.yml"),
        __prometheus_metrics=metrics,
        __prometheus_foreign=[],
        prometheus_runbook_url="https://example.org/runbook.md",
        prometheus_alert_for={},
    )


def read(path: Path) -> Any:
    """Read a file of YAML."""
    return yaml.safe_load(path.read_text())


def tests(rule_file: str) -> str:
    """Return the tests for promtool."""
    trouble = {series: values for one in FIRING.values() for series, values in one.items()}
    trouble['sse_reach_edges{verdict="reached"}'] = gauge(9, 9)
    absence = {series: values for one in ABSENT.values() for series, values in one.items()}
    constant = {series: values for series, values in absence.items() if "_x140" in values and "+" not in values}
    there = {series: values.replace("_", values.partition("x")[0]) for series, values in constant.items()}
    uncounted = {series: values for one in UNCOUNTED.values() for series, values in one.items()}
    return yaml.safe_dump(
        {
            "rule_files": [rule_file],
            "evaluation_interval": "1m",
            "tests": [
                scenario("each alert fires on its trouble, and before and after it none does", trouble, FIRING),
                scenario("what is not there is not well", absence, ABSENT),
                scenario("what is not counted is not well", there | uncounted, UNCOUNTED),
                scenario("what is meant is no trouble", there | MEANT, {"Watchdog": {}}),
            ],
        },
        sort_keys=False,
        width=1000,
    )


def scenario(name: str, series: dict[str, str], alerts: dict[str, Any]) -> dict[str, Any]:
    """Return one test of promtool. Before and after the trouble, nothing else than the Watchdog may even be pending."""
    calm = {
        "expr": "count by (alertname, alertstate) (ALERTS)",
        "exp_samples": [{"labels": '{alertname="Watchdog", alertstate="firing"}', "value": 1}],
    }
    return {
        "name": name,
        "interval": "1m",
        "input_series": [{"series": one, "values": values} for one, values in series.items()],
        "promql_expr_test": [
            {**calm, "eval_time": QUIET},
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"}) > bool 0',
                "eval_time": TROUBLE,
                "exp_samples": [{"labels": f'{{alertname="{one}"}}', "value": 1} for one in sorted(alerts)],
            },
            {**calm, "eval_time": RESOLVED},
        ],
    }
