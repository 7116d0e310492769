"""bench/scaling.py: what the simulation says follows from its costs, and docs/scaling.md holds what it says."""

from __future__ import annotations

import dataclasses
import math

import pytest
import scaling
from scaling import LOADS, Costs, Host, Load, fewest, latency, look, shares

BROADCAST = LOADS[3]
BUSY = LOADS[4]


def test_the_document_holds_the_table_that_the_script_writes() -> None:
    assert scaling.table(scaling.SUBSCRIBERS, Host(), Costs()) in scaling.DOCUMENT.read_text()


@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.name.split(":")[0])
def test_more_subscribers_never_need_fewer_hosts(load: Load) -> None:
    found = [fewest(load, count, 1, Host(), Costs()) for count in scaling.SUBSCRIBERS]
    hosts = [one.hosts if one.good else math.inf for one in found]
    assert hosts == sorted(hosts)


def test_one_host_less_does_not_carry_it() -> None:
    found = fewest(BROADCAST, 1_000_000, 1, Host(), Costs())
    assert found.good
    assert not look(BROADCAST, 1_000_000, found.hosts - 1, 1, Host(), Costs()).good


def test_no_number_of_hosts_helps_where_each_replica_must_read_too_much() -> None:
    slow = dataclasses.replace(Costs(), read=1.0)
    assert shares(BUSY, 100_000, 4000, 1, Host(), slow)["the replicas"] > 1
    assert not fewest(BUSY, 100_000, 1, Host(), slow).good


def test_partitions_divide_what_a_replica_reads_and_not_what_a_channel_delivers() -> None:
    one, four = (shares(BUSY, 1_000_000, 8, groups, Host(), Costs()) for groups in (1, 4))
    assert four["the replicas"] < one["the replicas"] / 2
    assert four["NGINX"] == one["NGINX"]
    alone = fewest(BROADCAST, 100_000, 1, Host(), Costs())
    assert scaling.best_groups(BROADCAST, 100_000, Host(), Costs(), alone) == (1, alone)


def test_a_delivery_waits_at_least_for_the_sweep_and_longer_where_replicas_are_busier() -> None:
    calm, busy = (latency(BROADCAST, count, 1, 1, Host(), Costs()) for count in (1_000, 10_000))
    assert calm >= 1_000 / Host().replicas * Costs().write * 0.9
    assert busy > 5 * calm
    assert latency(BROADCAST, 1_000, 1, 1, Host(), Costs()) == calm  # the same seed, the same figures


def test_a_host_without_memory_for_the_streams_is_not_enough() -> None:
    small = Host(memory=1e9)
    assert look(LOADS[0], 100_000, 1, 1, small, Costs()).limit == "memory"
    assert not look(LOADS[0], 100_000, 1, 1, small, Costs()).good
