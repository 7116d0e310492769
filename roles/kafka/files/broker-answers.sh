#!/bin/bash
# Asks the broker for ApiVersions (key 18, version 0, correlation id 1, no client id) without starting a JVM. Its socket
# accepts before it serves, so only an answer with that id and error code 0 counts.
exec 3<>/dev/tcp/127.0.0.1/9092 || exit 1
printf '\0\0\0\012\0\022\0\0\0\0\0\01\377\377' >&3
answer=$(head -c 10 <&3 | od -An -tx1 | tr -d ' \n')
[ "${answer#????????}" = 000000010000 ]
