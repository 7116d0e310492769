#!/bin/bash
# Lose a part of the cluster, or change it, beside 200 streams and 20 publishers: lose.sh NAME. INVENTORY names the
# inventory. The hosts are those of this scenario, or of the directory SCENARIO, which may have faults of its own in
# stages.sh. Clients come through an edge that is not lost. It fails where an event was lost, doubled or out of order, or
# where a gap was told.
set -eu
here=$(dirname -- "$(readlink -f -- "$0")")
root=$here/../..
scenario=${SCENARIO:-$here}
declare -A addresses=()
names=()
while read -r name address; do
    names+=("$name")
    addresses[$name]=$address
done < <(sed -n 's/^  \([^ ]*\): {address: \([0-9.]*\),.*/\1 \2/p' "$scenario/vars/hosts.yml")
network=$(sed -n 's/^test_network: //p' "$scenario/vars/hosts.yml")

host() { echo "${names[$1 - 1]}"; }
number() { for one in "${!names[@]}"; do [ "${names[one]}" != "$1" ] || echo $((one + 1)); done; }
in_host() { docker exec "$(host "$1")" sh -ec "$2"; }
# A host that answers, to ask what managers know.
asked() {
    for host in $(seq "${#names[@]}"); do
        in_host "$host" "$1" 2>/dev/null && return
    done
    return 1
}
# The newest task of a service gets SIGKILL on these hosts, as at a crash.
kill_tasks() {
    for host in $2; do
        in_host "$host" "docker ps -q --filter label=com.docker.swarm.service.name=$1 | xargs -r docker kill"
    done
}
leader() { number "$(asked "docker node ls --format '{{.ManagerStatus}} {{.Hostname}}'" | sed -n 's/^Leader //p')"; }
holder() { number "$(asked "docker service ps --filter desired-state=running --format '{{.Node}}' $1")"; }
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
    docker kill "$(host "$1")" >/dev/null
    sleep "$2"
    docker start "$(host "$1")" >/dev/null
    settled
}
cut_off() {
    docker network disconnect "$network" "$(host "$1")"
    sleep "$2"
    docker network connect --ip "${addresses[$(host "$1")]}" "$network" "$(host "$1")"
    settled
}
play() {
    local name=$1
    shift
    read -ra paths <<<"$INVENTORY"
    ansible-playbook "${paths[@]/#/--inventory=}" "$root/playbooks/cluster/$name.yml" "$@"
}

lost=${LOST-}
# shellcheck source=/dev/null # not every scenario has it
[ ! -f "$scenario/stages.sh" ] || . "$scenario/stages.sh"
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
    drain) lost=3; lose() { play node_drain -e asked_host="$(host "$lost")" -e asked_away=true; sleep 10; } ;;
    add) lost=3; lose() { play node_add -e asked_host="$(host "$lost")"; settled; } ;;
    *) declare -F lose >/dev/null || { echo "lose.sh: $1 is none of the faults" >&2; exit 2; } ;;
esac
if [ "${2-}" = now ]; then
    lose
    exit
fi
[[ $lost =~ ^[1-4]?$ ]] || { echo "lose.sh: which host to lose is not known: $lost" >&2; exit 1; }
edge=1
[ "$lost" != 1 ] || edge=2
export LOST=$lost
url=http://${addresses[$(host "$edge")]}
exec "${PYTHON:-python3}" "$root/tests/judging/outages.py" "$url" -- bash "$here/lose.sh" "$1" now
