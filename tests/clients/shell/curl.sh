#!/bin/sh
# curl reads one stream; the loop, the cursor and the wait are the shell's. An event is printed when its block ends.
kept=$(mktemp)
trap 'rm -f "$kept"' EXIT
while true; do
    curl -sN --max-time 300 -H "Last-Event-ID: $(cat "$kept")" "$1" | while IFS= read -r line; do
        case $line in
            data:*) data="${data:+$data\\n}${line#data: }" ;;
            event:*) event=${line#event: } ;;
            id:*) id=${line#id: } ;;
            '')
                [ -z "$id" ] || printf '%s' "$id" >"$kept"
                [ -z "$data" ] || printf '{"event": "%s", "data": "%s", "id": "%s"}\n' "${event:-message}" "$data" "$id"
                event='' data='' id=''
                ;;
        esac
    done
    sleep 1
done
