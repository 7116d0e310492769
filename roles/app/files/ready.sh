#!/usr/bin/env bash
# Ends with 0 when the replica is ready; else it prints the answer.
host=${SSE_HOST:-0.0.0.0}
case $host in 0.0.0.0) host=127.0.0.1 ;; ::) host=::1 ;; esac
exec 3<> "/dev/tcp/$host/${SSE_PORT:-8000}" || exit 1
printf 'GET /health/ready HTTP/1.0\r\n\r\n' >&3
read -r -t 3 _ status _ <&3
[ "$status" = 200 ] && exit 0
while read -r -t 3 line <&3; do :; done
echo "${line:-no answer}"
exit 1
