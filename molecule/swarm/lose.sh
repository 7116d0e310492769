#!/bin/bash
# Lose a part of the cluster, or change it, beside 200 streams and 20 publishers: lose.sh NAME. The hosts are those of this
# scenario, and INVENTORY names its inventory. Clients come through an edge that is not lost. It fails where an event was
# lost, doubled or out of order, or where a gap was told.
set -eu
here=$(dirname -- "$(readlink -f -- "$0")")
root=$here/../..

in_host() { docker exec "mol-swarm-$1" sh -ec "$2"; }
# A host that answers, to ask what managers know.
asked() {
    for host in 1 2 3; do
        in_host $host "$1" 2>/dev/null && return
    done
    return 1
}
# The newest task of a service gets SIGKILL on these hosts, as at a crash.
kill_tasks() {
    for host in $2; do
        in_host "$host" "docker ps -q --filter label=com.docker.swarm.service.name=$1 | xargs -r docker kill"
    done
}
leader() { asked "docker node ls --format '{{.ManagerStatus}} {{.Hostname}}'" | sed -n 's/^Leader mol-swarm-//p'; }
holder() { asked "docker service ps --filter desired-state=running --format '{{.Node}}' $1" | sed 's/^mol-swarm-//'; }
# Until every service has its tasks again. A manager needs a moment to see that one has not, and a broker to be in sync.
settled() {
    for _ in $(seq 100); do
        sleep 3
        shown=$(asked "docker service ls --format '{{.Replicas}}'") || continue
        grep -Evq '^([0-9]+)/\1$' <<<"$shown" || { sleep 5; return 0; }
    done
    echo "a service lacks tasks: $(asked 'docker service ls')" >&2
    return 1
}
away() {
    docker kill "mol-swarm-$1" >/dev/null
    sleep "$2"
    docker start "mol-swarm-$1" >/dev/null
    settled
}
cut_off() {
    address=$(docker inspect --format '{{(index .NetworkSettings.Networks "mol-swarm-network").IPAddress}}' "mol-swarm-$1")
    docker network disconnect mol-swarm-network "mol-swarm-$1"
    sleep "$2"
    docker network connect --ip "$address" mol-swarm-network "mol-swarm-$1"
    settled
}
play() {
    local name=$1
    shift
    read -ra paths <<<"$INVENTORY"
    ansible-playbook "${paths[@]/#/--inventory=}" "$root/playbooks/cluster/$name.yml" "$@"
}

lost=${LOST-}
case $1 in
    replica) lose() { kill_tasks sse-app-1 "1 2 3"; settled; } ;;
    broker) lose() { kill_tasks sse-kafka-2 "1 2 3"; settled; } ;;
    edge) lost=2; lose() { kill_tasks sse-nginx "$lost"; settled; } ;;
    host) lost=3; lose() { away "$lost" 40; } ;;
    leader) lost=${lost:-$(leader)}; lose() { away "$lost" 60; } ;;
    redis) lost=${lost:-$(holder sse-redis-master)}; lose() { away "$lost" 40; } ;;
    partition) lost=3; lose() { cut_off "$lost" 40; } ;;
    update) lose() { play up -e app_memory=300m; } ;;
    rollback) lose() { play rollback; } ;;
    nginx) lose() { play up -e nginx_drain_seconds=200; } ;;
    drain) lost=3; lose() { play node_drain -e asked_host="mol-swarm-$lost" -e asked_away=true; sleep 10; } ;;
    add) lost=3; lose() { play node_add -e asked_host="mol-swarm-$lost"; settled; } ;;
    *) echo "lose.sh: $1 is none of the faults" >&2; exit 2 ;;
esac
if [ "${2-}" = now ]; then
    lose
    exit
fi
[[ $lost =~ ^[123]?$ ]] || { echo "lose.sh: which host to lose is not known: $lost" >&2; exit 1; }
edge=1
[ "$lost" != 1 ] || edge=2
export LOST=$lost
address=$(sed -n "s/^  mol-swarm-$edge: {address: \([0-9.]*\),.*/\1/p" "$here/vars/hosts.yml")
exec "${PYTHON:-python3}" "$root/tests/judging/outages.py" "http://$address" -- bash "$here/lose.sh" "$1" now
