#!/bin/sh
# Runs on the host: collect.sh CONTEXT... Puts this host's own package configuration into each build context as .host,
# for builder stages only. Every file is there, empty where the host has none, so that a Dockerfile can name it.
set -eu
umask 077

# As each client reads them: pip takes the user's over the site's, npm lets the user's lines come last.
first() {
    for file in "$@"; do
        if [ -r "$file" ]; then
            cat "$file"
            return
        fi
    done
}
all() {
    for file in "$@"; do
        if [ -r "$file" ]; then
            cat "$file"
            echo
        fi
    done
}

for context in "$@"; do
    mkdir -p "$context/.host"
    cd "$context/.host"
    cp /etc/ssl/certs/ca-certificates.crt ca-certificates.crt
    first "$HOME/.config/pip/pip.conf" "$HOME/.pip/pip.conf" /etc/pip.conf >pip.conf
    all /etc/npmrc "$HOME/.npmrc" >npmrc
    first "$HOME/.m2/settings.xml" /etc/maven/settings.xml >settings.xml
    [ -s settings.xml ] || echo '<settings/>' >settings.xml
done
