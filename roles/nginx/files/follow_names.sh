#!/usr/bin/env bash
# NGINX where the address of a name may change: on several hosts, a container that starts elsewhere gets another one. NGINX
# asks for the names of its servers only when it reads its configuration. So this asks for them each second, writes what is
# answered in place of the names, and has NGINX read that when it changed. A reload keeps the streams.
#
# usage: follow_names.sh       run NGINX
#        follow_names.sh -t    only check its configuration, where no name is answered
set -uf

declared=${NGINX_CONFIG:-/etc/nginx/nginx.conf}
written=${NGINX_WRITTEN:-/tmp/nginx.conf}
# A new container has a name for about a second together with the one that it replaces. What was answered so many times is
# taken, so that there is one reload for both.
looks=3
# A name that is not answered for so many looks is left out. Until then its container may only be starting again.
patience=30
# Each reload leaves the workers from before to their streams. With those of more reloads, memory would run out.
generations=4

server='^([[:space:]]*server[[:space:]]+)([a-z0-9-]+)(:[0-9]+)([^;]*);(.*)$'
declare -A answered missing
names=() seen='' taken='' count=0 nginx=0 again=''

# The names of the servers, each once.
read_names() {
    local line
    local -A known=()
    names=()
    while IFS= read -r line; do
        if [[ $line =~ $server && -z ${known[${BASH_REMATCH[2]}]-} ]]; then
            known[${BASH_REMATCH[2]}]=yes
            names+=("${BASH_REMATCH[2]}")
        fi
    done < "$declared"
}

# Where each name leads. One that is not answered leads where it did. With the dot, nobody else is asked for it.
look() {
    local name address kind rest anything=''
    local -A now=()
    for name in "${names[@]}"; do
        now[$name]=''
        while read -r address kind rest; do
            [[ $kind != STREAM ]] || now[$name]+="$address "
        done < <(RES_OPTIONS='timeout:1 attempts:1' getent ahostsv4 "$name." | sort -u)
        anything+=${now[$name]}
    done
    for name in "${names[@]}"; do
        if [[ -n ${now[$name]} ]]; then
            answered[$name]=${now[$name]} missing[$name]=0
        elif [[ -n $anything ]]; then # otherwise the DNS is away, and everything is where it was
            missing[$name]=$((${missing[$name]-0} + 1))
            [[ ${missing[$name]} -le $patience ]] || answered[$name]=''
        fi
    done
}

told() {
    local name
    for name in "${names[@]}"; do
        printf '%s=%s\n' "$name" "${answered[$name]-}"
    done
}

write() {
    local line address begin end
    while IFS= read -r line; do
        if [[ $line =~ $server ]]; then
            begin=${BASH_REMATCH[1]} end="${BASH_REMATCH[3]}${BASH_REMATCH[4]}"
            for address in ${answered[${BASH_REMATCH[2]}]-}; do
                printf '%s%s%s;\n' "$begin" "$address" "$end"
            done
            # NGINX takes no upstream without a server.
            [[ -n ${answered[${BASH_REMATCH[2]}]-} ]] || printf '%s127.0.0.1%s down;\n' "$begin" "$end"
            [[ -z ${BASH_REMATCH[5]} ]] || printf '%s\n' "${BASH_REMATCH[5]}"
        else
            printf '%s\n' "$line"
        fi
    done < "$declared" > "$written.new" && mv "$written.new" "$written"
}

# End the oldest workers, so that those of at most so many reloads are left after the next one.
prune() {
    local pid title working=0 children=() old=() list="/proc/$nginx/task/$nginx/children"
    [[ -r $list ]] || return 0
    read -ra children < "$list" || : # it has no end of line
    for pid in "${children[@]}"; do
        title=$(tr '\0' ' ' 2> /dev/null < "/proc/$pid/cmdline") || continue
        case $title in
            *'worker process is shutting down'*) old+=("$pid") ;;
            *'worker process'*) working=$((working + 1)) ;;
        esac
    done
    local most=$(((generations - 1) * working))
    [[ $working == 0 || ${#old[@]} -le $most ]] || kill -TERM "${old[@]:0:${#old[@]}-most}" 2> /dev/null
}

reload() {
    write
    prune
    kill -HUP "$nginx"
}

read_names
if [[ ${1-} == -t ]]; then
    write
    exec nginx -t -q -e stderr -c "$written"
fi
look
taken=$(told) seen=$taken
write
# NGINX that was killed leaves its sockets, and does not start where one is.
while IFS= read -r line; do
    [[ ! $line =~ ^[[:space:]]*listen[[:space:]]+unix:([^\;[:space:]]+) ]] || rm -f "${BASH_REMATCH[1]}"
done < "$written"
nginx -e stderr -c "$written" -g 'daemon off;' &
nginx=$!
trap 'again=yes' HUP
trap 'kill -QUIT "$nginx"' QUIT
trap 'kill -TERM "$nginx"' TERM INT
while kill -0 "$nginx" 2> /dev/null; do
    sleep 1 &
    wait $! # a signal ends this, and not a sleep that nobody waits for
    if [[ -n $again ]]; then
        again=''
        read_names
        look
        taken=$(told) seen=$taken
        reload
        continue
    fi
    look
    now=$(told)
    if [[ $now == "$seen" ]]; then
        count=$((count + 1))
    else
        seen=$now count=1
    fi
    if [[ $now != "$taken" && $count -ge $looks ]]; then
        taken=$now
        printf 'follow_names: %s\n' "${now//$'\n'/, }" >&2
        reload
    fi
done
wait "$nginx"
