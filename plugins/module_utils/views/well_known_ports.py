# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""TCP ports of widespread software: what a stranger's project may publish, whether this platform runs it or not."""

from __future__ import annotations

WEB = frozenset({80, 443, 8080, 8443})  # what a server for everybody usually listens on
# Stores and consoles that trust whoever reaches them, or ask for no more than a password.
PRIVATE = {
    2181: "ZooKeeper",
    2375: "the Docker Engine",
    2379: "etcd",
    3000: "Grafana",
    3306: "MySQL",
    5432: "PostgreSQL",
    5672: "RabbitMQ",
    6379: "Redis",
    9090: "Prometheus",
    9092: "Kafka",
    9094: "Kafka",
    9200: "Elasticsearch",
    11211: "memcached",
    15672: "RabbitMQ's console",
    19092: "Kafka",
    27017: "MongoDB",
}
