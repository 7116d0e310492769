"""The declarations of every service, rendered by Ansible itself for several hosts, and the releases of these."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import yaml
from ansible_collections.sse.platform.plugins.module_utils.images import catalogue as catalogue_of
from ansible_collections.sse.platform.plugins.module_utils.model import release, segments

ROOT = Path(__file__).resolve().parents[1]
CA = "/etc/ssl/certs/ca-certificates.crt"  # any file that can be read
KEYS = ROOT / "tests/unit/roles/keys.json"

# One host of the rendering play each: its variables.
HOSTS: dict[str, dict[str, Any]] = {
    "default": {},
    "production": {
        "exposure_profile": "production",
        "exposure_unauthenticated_publishing": True,
        "exposure_trusted_proxies": ["10.0.0.5", "192.168.0.0/16"],
        "app_replicas": 5,
        "app_retention_bytes": 5 * 2**30,
    },
    "guarded": {"app_auth": True, "app_keys_file": str(KEYS), "app_jwks_file": str(KEYS.with_name("jwks.json"))},
    "tcp": {"app_link": "tcp", "app_replicas": 2},
    "zookeeper": {"kafka_coordination": "zookeeper"},
    "acme": {
        "exposure_tls": "acme",
        "acme_names": ["events.example.org", "stream.example.org"],
        "acme_email": "admin@example.org",
        "acme_accept_terms": True,
    },
    "host_api": {"dashboard_api": "host", "dashboard_api_port": 8123},
    "segmented": {"network_layout": "segmented", "kafka_coordination": "zookeeper"},
    "dual": {
        "network_ipv6": True,
        "network_layout": "segmented",
        "prometheus_alert_for": {"KafkaUnreachable": "7m"},
        "alerts_to": {
            "webhook": {"url": "http://host.docker.internal:8080/hook", "token": "t0ken-of-the-hook"},
            "email": {"to": "ops@example.org", "from": "sse@example.org", "server": "smtp.example.org:587"},
            "slack": {"url": "https://hooks.slack.com/services/T0/B0/s3cret", "channel": "#ops"},
            "ntfy": "https://ntfy.sh/s3cret-topic",
            "watchdog": "https://hc-ping.com/s3cret",
        },
        "alerts_environment_extra": {"HTTPS_PROXY": "http://proxy.example.org:3128"},
        "alerts_update_seconds": 600,
    },
    "traced": {
        "network_layout": "segmented",
        "app_otlp_endpoint": "http://collector:4318",
        "services_extra": {
            "tracing": {
                "containers": {
                    "collector": {
                        "image": "app",
                        "entrypoint": ["python", "-m", "http.server"],
                        "user": "1:1",
                        "address": 100,
                        "segments": ["monitoring"],
                        "listens": [4318],
                        "healthcheck": {"http": {"port": 4318}},
                    }
                }
            }
        },
    },
    "no_grafana": {"images": {"unavailable": {"grafana": "in no package registry"}}},
    "by-name.example.org": {},
    "moved": {"stack_name": "two", "kafka_port": 19092, "kafka_external_port": 19094, "kafka_external_host": "vm.test"},
    "second": {"stack_name": "demo", "stack_offset": 100, "redis_port": 7777, "network_layout": "segmented"},
    "last": {"stack_name": "last", "stack_offset": "5000", "network_layout": "segmented"},
    "bent": {
        "exposure_hosts": ["sse.example.org", "a-name-of-more-than-the-sixty-four-bytes-of-a-bucket.example.org"],
        "prometheus_runbook_url": "https://wiki.example.org/runbook",
        "alerts_dashboard_url": "https://room.example.org:8443/",
        "ansible_host": "VM.example.net",
        "host": {"name": "vm", "names": ["vm", "vm.example.com"]},
        "redis_config_extra": {"maxmemory-policy": "noeviction"},
        "kafka_config_extra": {"num.partitions": 3},
        "nginx_config_extra": {"client_max_body_size": "8m"},
        "prometheus_config_extra": {"scrape_configs": [{"job_name": "mine"}], "global": {"scrape_interval": "1s"}},
        "grafana_config_extra": {"users": {"default_theme": "light"}},
        "app_environment_extra": {"SSE_LOG_LEVEL": "debug"},
        "app_schemas": {"orders": {"type": "object", "required": ["n"]}, "stock.*": True},
        "services_extra": {
            "echo": {
                "containers": {
                    "echo": {
                        "image": "app",
                        "entrypoint": ["python", "-m", "http.server"],
                        "user": "1:1",
                        "address": 100,
                        "healthcheck": {"http": {"port": 8000}},
                    }
                },
                "metrics": [
                    {
                        "job": "echo",
                        "targets": ["echo:8000"],
                        "path": "/metrics",
                        "alerts": [
                            {
                                "alert": "EchoSilent",
                                "expr": 'up{job="echo"} == 0',
                                "annotations": {"summary": "no echo"},
                            }
                        ],
                    }
                ],
                "routes": [
                    {"path": "/echo/", "containers": ["echo"], "port": 8000},
                    {
                        "path": "/bare/",
                        "containers": ["echo"],
                        "port": 8000,
                        "strip": True,
                        "streams": ["/bare/stream"],
                        "heartbeat_seconds": 5,
                    },
                ],
            }
        },
    },
}
# Hosts without a Kafka or a Redis of their own.
ELSEWHERE: dict[str, dict[str, Any]] = {
    "redis_elsewhere": {
        "network_layout": "segmented",
        "redis_remote_server": "redis.example.org:6380",
        "redis_remote_ca_file": CA,
        "redis_remote_user": "sse",
        "redis_remote_password_file": CA,
        "app_otlp_endpoint": "https://traces.example.org/v1/traces",
        "app_auth": True,
        "app_issuers": {"one": "https://login.example.org/keys.json", "two": "https://other.example.org:8443/keys"},
    },
    "kafka_elsewhere": {
        "kafka_remote_servers": ["kafka-1.example.org:9093", "kafka-2.example.org:9093"],
        "kafka_remote_user": "sse",
        "kafka_remote_mechanism": "SCRAM-SHA-256",
        "kafka_remote_password_file": CA,
        "redis_remote_server": "10.20.30.40:6379",
        "redis_remote_tls": False,
        "redis_remote_plain_allowed": "true",
    },
    "elsewhere_swarm": {
        "deployment": "swarm",
        "app_link": "tcp",
        "exposure_bind": "0.0.0.0",
        "exposure_unauthenticated_publishing": True,
        "kafka_remote_servers": ["kafka-1.example.org:9093"],
        "kafka_remote_user": "sse",
        "kafka_remote_password_file": CA,
        "kafka_remote_ca_file": CA,
        "redis_remote_server": "redis.example.org:6380",
        "redis_remote_password_file": CA,
    },
}
# Releases for the hosts of a cluster together.
CLUSTERS: dict[str, dict[str, Any]] = {
    "swarm": {
        "deployment": "swarm",
        "app_link": "tcp",
        "exposure_bind": "0.0.0.0",
        "exposure_unauthenticated_publishing": True,
    },
    "segmented_swarm": {
        "deployment": "swarm",
        "network_layout": "segmented",
        "app_link": "tcp",
        "exposure_bind": "0.0.0.0",
        "exposure_unauthenticated_publishing": True,
        "kafka_brokers": 3,
    },
    "guarded_swarm": {
        "deployment": "swarm",
        "app_link": "tcp",
        "exposure_profile": "production",
        "network_layout": "single",
        "app_auth": True,
        "app_keys_file": str(KEYS),
        "app_replicas": 4,
        "kafka_brokers": 3,
    },
}
PLAY = """
- hosts: all
  connection: local
  gather_facts: false
  tasks:
    - sse.platform.settings:
    - ansible.builtin.import_role: {name: sse.platform.services}
    - ansible.builtin.copy:
        content: "{{ {'settings': settings, 'declared': stack_declarations} | to_json }}"
        dest: "{{ out }}/{{ inventory_hostname }}.json"
        mode: "0600"
"""


def images(settings: dict[str, Any]) -> dict[str, str]:
    """References as roles/images would give them."""
    catalogue = yaml.safe_load((ROOT / "roles/images/vars/main.yml").read_text())["__images_catalogue"]
    return {
        entry.get("name", name): f"test/{name}"
        for name, entry in catalogue.items()
        if not entry.get("internal") and catalogue_of.fits(entry, settings)
    }


class Rendered:
    """What one host declared, and the releases that come of it."""

    def __init__(self, path: Path, unavailable: dict[str, str]) -> None:
        content = json.loads(path.read_text())
        self.settings: Any = content["settings"]
        self.declared: dict[str, Any] = content["declared"]
        self.platform = self._release([name for name in self.declared if name != "dashboard"], unavailable)
        self.dashboard = self._release(["dashboard"], {})

    def _release(self, services: list[str], unavailable: dict[str, str]) -> Any:
        return release.build(
            {name: self.declared[name] for name in services},
            stack=self.settings["stack_name"],
            project="test",
            networks=segments.networks(self.settings),
            references=images(self.settings),
            unavailable=unavailable,
        )

    @property
    def containers(self) -> dict[str, dict[str, Any]]:
        return {
            one["container"]: one
            for one in [*self.platform["containers"].values(), *self.dashboard["containers"].values()]
        }

    def config(self, container: str, path: str) -> str:
        directories = self.containers[container]["config"]
        (content,) = [
            content
            for directory, files in directories.items()
            for name, content in files.items()
            if f"{directory}/{name}" == path
        ]
        return content

    @property
    def nginx(self) -> str:
        return self.config("nginx", "/etc/nginx/nginx.conf")

    @property
    def prometheus(self) -> dict[str, Any]:
        return yaml.safe_load(self.config("prometheus", "/etc/prometheus/prometheus.yml"))

    @property
    def kafka(self) -> dict[str, str]:
        lines = self.config("kafka", "/etc/kafka/server.properties").splitlines()
        return dict(cast("tuple[str, str]", line.split("=", 1)) for line in lines)


def render(directory: Path, hosts: dict[str, dict[str, Any]] = HOSTS) -> dict[str, Rendered]:
    """Render every host in one run; relative paths of files begin at the directory."""
    usual: dict[str, Any] = {"images": {"unavailable": {}}, "ansible_python_interpreter": sys.executable}
    inventory = {"all": {"hosts": {name: usual | variables for name, variables in hosts.items()}}}
    (directory / "hosts.yml").write_text(yaml.safe_dump(inventory))
    (directory / "play.yml").write_text(PLAY)
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_STDOUT_CALLBACK": "default"}
    run = subprocess.run(
        [
            *(Path(sys.executable).with_name("ansible-playbook"), "--forks", str(min(len(hosts), 16))),
            *("-i", directory / "hosts.yml", directory / "play.yml", "-e", f"out={directory}"),
        ],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return read(directory, hosts)


def read(directory: Path, hosts: dict[str, dict[str, Any]]) -> dict[str, Rendered]:
    """Read what was rendered."""
    return {
        name: Rendered(directory / f"{name}.json", variables.get("images", {"unavailable": {}})["unavailable"])
        for name, variables in hosts.items()
    }
