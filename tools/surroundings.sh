# shellcheck shell=sh disable=SC2154 # ./sse sets root, venv and bundle
# Read by ./sse with `.`: what the environment of a user may hold that leads the first command astray, and what a
# machine may lack. $root and $venv are set; say and die, too. tests/strange_hosts.py lists the cases.

# Variables that make Python, git and the shell work with something else than this checkout.
clear_environment() {
    # Without a standard error, messages would go into the next file that is opened, and Ansible does not start.
    [ ! -d /proc/self/fd ] || [ -e /proc/self/fd/2 ] || exec 2>/dev/null
    for name in $(env | sed -n 's/^\(PYTHON[A-Z0-9_]*\|GIT_[A-Z_0-9]*\|PIP_PYTHON\|CDPATH\|VIRTUAL_ENV\)=.*/\1/p'); do
        case $name in
            PYTHONDONTWRITEBYTECODE | PYTHONPYCACHEPREFIX | PYTHONUNBUFFERED | PYTHONDEVMODE) ;;
            GIT_SSL_* | GIT_SSH* | GIT_AUTHOR_* | GIT_COMMITTER_* | GIT_CONFIG_* | GIT_TERMINAL_PROMPT) ;;
            *) unset "$name" ;;
        esac
    done
    # Without a home, Ansible keeps its files here, and not in a directory that does not exist.
    [ -n "${HOME-}" ] || HOME=$(getent passwd "$(id -u)" 2>/dev/null | cut -d: -f6)
    [ -d "${HOME:-/nonexistent}" ] && [ -w "$HOME" ] || export ANSIBLE_HOME="$root/.ansible/home"
    export HOME="${HOME:-/nonexistent}"
    [ -d "${TMPDIR:-/tmp}" ] && [ -w "${TMPDIR:-/tmp}" ] || unset TMPDIR
    env pwd >/dev/null 2>&1 || cd / # the current directory was removed
}

# The commit of this checkout, also where it belongs to another user (git's safe.directory); not that of one around it.
commit() {
    [ ! -e "$root/.git" ] || GIT_CONFIG_GLOBAL="$root/tools/gitconfig" git -C "$root" rev-parse --short HEAD 2>/dev/null || :
}

# Whether a Python can answer before the environment is there: --version of an old one, or of a broken one, says little.
answers_early() { python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null; }

# What makes the environment impossible is told before anything is written.
refuse_unusable() {
    case $root in *:*) die "this checkout is in $root, and a path with a colon cannot be in PATH: move it." ;; esac
    writable || die "$(not_writable)"
    free=$(df -Pk "$root" 2>/dev/null | awk 'NR == 2 { print int($4 / 1024) }')
    [ "${free:-$needed}" -ge "$needed" ] ||
        die "the disk of $root has $free MiB free: the Python environment needs $needed MiB. Make room there."
    # Where a file system does not count its files, df shows none in all.
    files=$(df -Pi "$root" 2>/dev/null | awk 'NR == 2 && $2 > 0 { print $4 }')
    [ "${files:-$needed_files}" -ge "$needed_files" ] ||
        die "the disk of $root takes $files more files: the Python environment needs $needed_files. Remove some there."
}
needed=700
needed_files=60000

writable() {
    mkdir -p "$root/.ansible" 2>/dev/null && [ -w "$root" ] && [ -w "$root/.ansible" ] &&
        { [ ! -e "$venv" ] || [ -w "$venv" ]; }
}

not_writable() {
    owner=$(stat -c %U "$root" 2>/dev/null || echo another user)
    echo "this user ($(id -un 2>/dev/null || id -u)) cannot write in $root, which belongs to $owner, and the Python" \
        'environment goes there. Run ./sse as that user, give the checkout to this one (sudo chown -R), or copy it to' \
        'a place of your own.'
}

# Programs on a disk that is mounted noexec do not start.
refuse_noexec() {
    [ -x "$venv/bin/pip" ] || die "programs below $root cannot be executed: its disk is mounted noexec. Move the checkout."
}

find_python() {
    fits='>= (3, 11)'
    [ ! -d "$bundle" ] || fits="[:2] == ($(bundled python | tr . ,))"
    for python in python3 /usr/bin/python3 python3.14 python3.13 python3.12 python3.11; do
        "$python" -c "import sys, venv, ensurepip, ssl, zlib; sys.exit(not sys.version_info $fits)" 2>/dev/null && return
    done
    return 1
}
