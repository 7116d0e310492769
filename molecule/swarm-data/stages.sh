# shellcheck shell=bash
# What ../swarm/lose.sh does in this scenario, beside its own faults; it reads this file. The hosts begin with one broker on
# the first. `lose.sh NAME now` does it without clients. Each stage goes on from what the ones before it left.
# shellcheck disable=SC2034,SC2154 # lose.sh uses and sets them
read -ra inventories <<<"$INVENTORY"
work=$(dirname "${inventories[0]}")
export SSE_BACKUP_PASSPHRASE=only-for-this-test

says() { "${PYTHON:-python3}" "$scenario/declare.py" "${inventories[0]}" "$@"; }
# Names of hosts by their numbers, as the inventory has them.
hosts() { for one in "$@"; do host "$one"; done | paste -sd, -; }
kept() { "${PYTHON:-python3}" "$root/tests/judging/kept.py" "$1" "http://${addresses[$(host 1)]}" "$work/$2.json"; }
tool() {
    local name=$1
    shift
    "${PYTHON:-python3}" "$root/tools/$name.py" "${inventories[@]/#/--inventory=}" "$@"
}
# Until a command says something.
until_said() {
    for _ in $(seq 30); do
        said=$(eval "$2" 2>&1) || true
        [[ $said != *$1* ]] || return 0
        sleep 2
    done
    echo "this was not said: $1. But: $said" >&2
    return 1
}
# A run that has to be refused, or to fail, and what it says.
fails() {
    local words=$1
    shift
    ! "$@" >"$work/said" 2>&1 || { echo "it did not fail: $*" >&2; return 1; }
    tr -s '\n ' ' ' <"$work/said" | grep -q -- "$words" || { cat "$work/said"; echo "it did not say: $words" >&2; return 1; }
}
# A playbook of another version of the platform, in whose Dockerfile of a directory a line was added.
changed() {
    local directories=$1 line=$2 copy=$work/changed
    shift 2
    rm -rf "$copy"
    mkdir -p "$copy/.ansible/collections/ansible_collections/sse"
    ln -s ../../../.. "$copy/.ansible/collections/ansible_collections/sse/platform"
    (cd "$root" && git ls-files -z | tar --create --null --files-from=-) | tar --extract --directory="$copy"
    for one in $directories; do echo "$line" >>"$copy/$one/Dockerfile"; done
    ANSIBLE_COLLECTIONS_PATH=$copy/.ansible/collections root=$copy play "$@"
}
images() { asked "docker service ls --format '{{.Name}} {{.Image}}'" | sort; }

case $1 in
    fill) lose() { kept publish kept; } ;;
    kept) lose() { kept resume kept; } ;;
    grow) lose() { says kafka_brokers=3 data="$(hosts 1 2 3)"; play up; } ;;
    number) lose() { fails 'number of' play rollback; } ;;
    settings) lose() { says kafka_heap=288m; play up; } ;;
    upgrade) lose() { images >"$work/images"; changed 'app roles/images/files/maven' 'LABEL changed=1' up; } ;;
    downgrade) lose() { play rollback; images | diff "$work/images" -; } ;;
    # Host 4 takes the place of host 3, which is a manager and has a broker.
    replace) lost=3; lose() { says managers="$(hosts 1 2 4)" data="$(hosts 1 2 3 4)"; play up; } ;;
    leave) lost=3; lose() {
        play node_drain -e asked_host="$(host 3)"
        play node_remove -e asked_host="$(host 3)"
    } ;;
    move) lost=3; lose() { says app="$(hosts 1 2 4)" data="$(hosts 1 2 4)"; play up; } ;;
    backup) lose() { rm -f "$work/sse.backup"; play backup -e asked_file="$work/sse.backup"; } ;;
    restore) lose() {
        play destroy -e stack_destroy_confirmed=true
        for one in 1 2 3 4; do in_host "$one" 'rm -rf /var/lib/sse-platform'; done
        play restore -e asked_file="$work/sse.backup"
    } ;;
    # It never gets healthy, and the Swarm goes back. What a service runs is declared, whatever its image says.
    unhealthy) lose() {
        images >"$work/images"
        fails 'the Swarm went back' changed app \
            $'USER 0\nRUN echo "import time; time.sleep(9999)" >/app/sse_app/__main__.py' up
        settled
        images | diff "$work/images" -
    } ;;
    unhealthy-broker) lose() {
        images >"$work/images"
        fails 'the Swarm went back' changed roles/images/files/maven \
            $'USER 0\nRUN rm -r /opt/kafka/libs' up
        settled
        images | diff "$work/images" -
    } ;;
    verbs) lose() {
        local one
        for one in app-1 app-2 app-3 kafka kafka-2 kafka-3 redis prometheus; do
            tool exec "$one" true
        done
        for one in 1 2; do [ "$(tool exec --limit="$(host $one)" nginx hostname)" ]; done
        tool probe app-1 kafka-3:9092
        tool probe app-3 kafka:9092
        tool probe kafka-2 kafka-3:9092
        tool capture --seconds=5 --write="$work/capture.pcap" kafka-3
        [ -s "$work/capture.pcap" ]
        tool restart app-2 redis kafka-2
        settled
        tool scan
        timeout 30 "${PYTHON:-python3}" "$root/tools/forward.py" "${inventories[@]/#/--inventory=}" >"$work/forwarded" 2>&1 &
        until_said 'Prometheus' "cat '$work/forwarded'"
        grep -o 'http://127.0.0.1:[0-9]*' "$work/forwarded" | while read -r one; do
            curl -sS -o "$work/page" -L "$one" # Grafana asks who that is
        done
        wait
    } ;;
    # Containers of different hosts then reach what is declared, and nothing that no network of theirs has.
    segments) lose() { says network_layout=segmented; play up; play verify -e verify_matrix=true; } ;;
    single) lose() { says network_layout=single; play up; } ;;
    # A run that has nothing to do, and what others find then.
    same) lose() {
        play up >"$work/said"
        if grep 'changed=[1-9]' "$work/said"; then return 1; fi
        play drift
        play doctor
        tool scan
    } ;;
    # Every password changes while clients are there, and one replica is watched before the other ones are replaced.
    rotate) lose() { play rotate -e asked_secret=all; } ;;
    canary) lose() { play up -e app_memory=310m -e asked_canary=15; } ;;
    shrink) lose() { says kafka_brokers=1; play up; } ;;
    destroy) lose() { play destroy -e stack_destroy_confirmed=true; } ;;
esac
