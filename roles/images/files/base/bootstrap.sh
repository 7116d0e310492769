#!/bin/sh
# Runs on the host: bootstrap.sh SUITE MIRROR OUTPUT PROXIES. Writes the root filesystem of a minimal Debian as a tar archive,
# from MIRROR, or, where that is empty, from the Debian sources of this host's own apt. PROXIES is a file that exports the
# proxies of the host: the apt of the new root does not read the configuration of this one.
set -eu
suite=$1 mirror=$2 output=$3
# shellcheck disable=SC1090
. "$4"

fail() {
    echo "$1" >&2
    exit 1
}

if [ -n "$mirror" ]; then
    mirror=${mirror%/}
    sources="deb $mirror $suite main
deb $mirror $suite-updates main"
    # The security archive lies beside the main one on most mirrors, not on all.
    if /usr/lib/apt/apt-helper download-file "$mirror-security/dists/$suite-security/InRelease" "$output.probe" \
        >/dev/null 2>&1; then
        sources="$sources
deb $mirror-security $suite-security main"
    fi
    rm -f "$output.probe"
else
    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    # shellcheck disable=SC2016
    sources=$(apt-get indextargets --format '$(ORIGIN) $(COMPONENT) $(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
        awk -v codename="$codename" -v suite="$suite" '
            $1 == "Debian" && $2 == "main" && $4 ~ "^" codename "(-updates|-security)?$" {
                sub("^" codename, suite, $4)
                print "deb", $3, $4, "main"
            }' | sort -u)
    [ -n "$sources" ] || fail "apt on this host knows no Debian archive: give its address as images_debian_mirror"
fi

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keyring" ] || fail "$keyring is missing: install debian-archive-keyring"

# An archive that this host accepts though its dates are off is accepted in the images as well.
set -- "--aptopt=Acquire::Languages \"none\""
for option in $(apt-config dump --no-empty --format '%F=%v%n' Acquire::Check-Valid-Until Acquire::Check-Date); do
    set -- "$@" "--aptopt=${option%%=*} \"${option#*=}\""
done
# Over https, it is trusted by the authorities that this host trusts; a proxy that intercepts has one of its own.
case $sources in
    *https://*)
        # shellcheck disable=SC2016
        set -- "$@" --include=ca-certificates \
            --customize-hook='cp -r /usr/local/share/ca-certificates/. "$1/usr/local/share/ca-certificates"' \
            --customize-hook='chroot "$1" update-ca-certificates'
        ;;
esac

# shellcheck disable=SC2016 # $1 is mmdebstrap's: the new root
# Documentation and translations are left out, licences stay; the pages' directories are there for update-alternatives.
echo "$sources" | mmdebstrap --quiet --variant=minbase --format=tar --skip=output/dev --keyring="$keyring" "$@" \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/info/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --dpkgopt=force-unsafe-io \
    --customize-hook='mkdir -p "$1/usr/share/man/man1"' \
    "$suite" "$output" - || fail "Debian $suite could not be installed from: $sources
Check that this host reaches that archive and that its debian-archive-keyring is new enough to know $suite; another
archive can be given as images_debian_mirror, other images by images_source=registry or images_archive."
