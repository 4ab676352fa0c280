# Sourced by the scripts of this folder: finds or installs what they need, and says what to do where it cannot.
# Sets: root (the checkout), engine (path of the store engine).

set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/dongson
engine=${DONGSON_ENGINE:-$cache/engine/libchdb.so}

say() { printf '%s\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# as_root CMD...: runs CMD with the rights of root, by sudo where we are somebody else.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else fail "this needs root: run as root, or install sudo, or run yourself: $*"
    fi
}

# present NAME: whether there is a command, or a file (a pattern that begins with /).
present() {
    case $1 in
        /*) compgen -G "$1" >/dev/null ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

# need_deb NAME PACKAGE: installs Debian's PACKAGE where NAME (a command, or a pattern of files) is missing.
apt_updated=no
need_deb() {
    present "$1" && return 0
    command -v apt-get >/dev/null || fail "$1 is missing: install the package that your system calls $2 or alike"
    say "installing $2 (for $1)"
    if [ "$apt_updated" = no ]; then as_root apt-get update -qq >/dev/null; apt_updated=yes; fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null
    present "$1" || fail "$2 was installed, but $1 is still missing"
}

# PostgreSQL's programs, for servers that tests start themselves: without a cluster and service of the system's own.
need_postgres() {
    present '/usr/lib/postgresql/*/bin/initdb' && return 0
    need_deb pg_createcluster postgresql-common
    as_root mkdir -p /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.d/none.conf >/dev/null
    need_deb '/usr/lib/postgresql/*/bin/initdb' postgresql
}

# at_least HAVE WANT: true when version HAVE is WANT or newer.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

need_rust() {
    command -v cargo >/dev/null || fail "cargo is missing: install Rust 1.94 or newer (rustup, or your distribution's packages rustc and cargo)"
    local have; have=$(rustc --version | awk '{print $2}')
    at_least "$have" 1.94.0 || fail "rustc $have is too old: install Rust 1.94 or newer"
    need_deb cc build-essential
}

# What the client library of Kafka is built with.
need_kafka_client() {
    need_deb '/usr/include/openssl/ssl.h' libssl-dev
    need_deb pkg-config pkg-config
    need_deb /usr/include/zlib.h zlib1g-dev
    need_deb make make
}

need_node() {
    command -v node >/dev/null || fail "node is missing: install Node.js 20.19 or newer with npm"
    local have; have=$(node --version | tr -d v)
    at_least "$have" 20.19.0 || fail "node $have is too old: install Node.js 20.19 or newer with npm"
    command -v npm >/dev/null || fail "npm is missing: install npm 10 or newer"
}

need_java() {
    command -v java >/dev/null || fail "java is missing: install Java 17 or newer (Debian: openjdk-17-jre-headless)"
    # Written to the standard error: openjdk version "17.0.15" 2025-04-15; before 9 it was 1.8.0.
    local have; have=$(java -version 2>&1 | sed -n 's/.* version "\([0-9.]*\).*/\1/p' | head -n 1)
    at_least "${have:-0}" 17 || fail "java ${have:-of an unknown version} is too old: install Java 17 or newer (Debian: openjdk-17-jre-headless)"
}

need_maven() {
    command -v mvn >/dev/null || fail "mvn is missing: install Maven 3.6.3 or newer (Debian: maven)"
    local have; have=$(mvn -version -B 2>/dev/null | sed -n 's/^[^A]*Apache Maven \([0-9.]*\).*/\1/p' | head -n 1)
    at_least "${have:-0}" 3.6.3 || fail "Maven ${have:-of an unknown version} is too old: install Maven 3.6.3 or newer (Debian: maven)"
}

need_disk() {
    local free; free=$(df -Pk "$root" | awk 'NR==2{print int($4/1048576)}')
    [ "$free" -ge "$1" ] || fail "$root has $free GiB free, $1 GiB are needed"
}
