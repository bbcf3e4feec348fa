#!/usr/bin/env bash
# Prepares this checkout: system packages, .venv, the pinned Python packages, the project itself.
# Runs again at no cost: a stamp, written last, says that all of it is there.
#   PYTHON=/path/to/python3.11    picks the interpreter (3.10, 3.11 or 3.12)
set -euo pipefail

say() { printf 'set-up: %s\n' "$*"; }
die() { printf 'set-up: %s\n' "$*" >&2; exit 1; }

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
repo=$(pwd -P)
stamp=.venv/.setup-stamp
PATH=${PATH:-/usr/local/bin:/usr/bin:/bin}:/usr/local/sbin:/usr/sbin:/sbin # servers live in sbin
export PATH

# --- which Python -------------------------------------------------------------------------------

# The interpreter itself, not a shim, nor a link in a .venv that is about to go.
base_of() { "$1" -I -c 'import sys; print(getattr(sys, "_base_executable", sys.executable))'; }
version_of() { "$1" -I -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }
suits() { case $1 in 3.10 | 3.11 | 3.12) ;; *) return 1 ;; esac; }

find_python() { # sets python and version
    local name seen=
    local names=(python3 python3.12 python3.11 python3.10)
    [ -z "${PYTHON:-}" ] || names=("$PYTHON")
    for name in "${names[@]}"; do
        python=$(command -v -- "$name" || true)
        version=$(version_of "${python:-false}")
        if suits "$version"; then
            python=$(base_of "$python")
            return
        fi
        seen=${seen:-$version}
    done
    if [ -n "${PYTHON:-}" ]; then
        die "PYTHON=$PYTHON is not Python 3.10, 3.11 or 3.12${seen:+ but $seen}: name another, or leave PYTHON out."
    elif [ -n "$seen" ]; then
        die "Python $seen is not supported: install Python 3.10, 3.11 or 3.12, or name one with PYTHON=/path/to/python."
    fi
    die "python3 is missing: install Python 3.10, 3.11 or 3.12 (Debian, Ubuntu: apt-get install python3)."
}

# --- system packages ----------------------------------------------------------------------------

have() { command -v "$1" >/dev/null 2>&1; }
have_database() { { have mariadbd && have mariadb-install-db && have my_print_defaults; } || have mysqld; }

name_here() { # package: Ubuntu 22.04 has it only with a version, as in mariadb-server-core-10.6
    local found
    found=$(apt-cache search --names-only "^$1(-[0-9.]+)?\$" 2>/dev/null | cut -d' ' -f1 | sort -V | sed -n 1p)
    echo "${found:-$1}"
}

install_system_packages() { # packages...
    local as_root=() names=() name log=.cache/setup-apt.log
    have apt-get || die "no apt-get here: install by other means what Debian's $* hold (a MariaDB or MySQL server on the PATH, Python's venv), then run this again."
    if [ "$(id -u)" -ne 0 ]; then
        { have sudo && sudo -n true 2>/dev/null; } ||
            die "system packages are missing and sudo would ask or is not there: as root run 'apt-get install --no-install-recommends $*', then run this again."
        as_root=(sudo -n)
    fi
    say "installing system packages: $*"
    as_root+=(env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
        apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
    # Old package lists may still do, so only the installation decides. 9: the set-up's lock.
    "${as_root[@]}" update >"$log" 2>&1 9>&- || true
    for name in "$@"; do names+=("$(name_here "$name")"); done
    "${as_root[@]}" install -y --no-install-recommends "${names[@]}" >>"$log" 2>&1 </dev/null 9>&- || {
        tail -n 5 "$log" >&2
        die "apt-get could not install $*: install them by hand (is the network there?), then run this again."
    }
}

# --- .venv --------------------------------------------------------------------------------------

place() { printf 'python %s in %s' "$version" "$repo"; } # what a venv cannot change
contents() { cat setup.py requirements.txt element_deeplabcut/version.py scripts/setup.sh | sha256sum | cut -c1-64; }

make_venv() {
    if [ -e .venv ] && [ ! -e "$stamp" ] && [ -n "$(ls -A .venv)" ]; then
        die "$repo/.venv was made by something else: move it away, then run this again."
    fi
    say "making .venv with Python $version ($python)"
    rm -rf .venv
    mkdir .venv
    echo unfinished >"$stamp"
    "$python" -I -m venv .venv || die "$python could not make a virtual environment (see above)."
}

# --- Python packages ----------------------------------------------------------------------------

is_home() { [ -d "$1" ] && [ -w "$1" ]; }
usable() { mkdir -p -- "$1" 2>/dev/null && [ -w "$1" ]; }

prepare_uv() { # HOME may be unset; uv hard-links from its cache where both are on one disk
    local certificates=/etc/ssl/certs/ca-certificates.crt # uv knows only its own, pip these
    if [ -z "${SSL_CERT_FILE:-}" ] && [ -s $certificates ]; then export SSL_CERT_FILE=$certificates; fi
    is_home "${HOME:-}" || HOME=$(getent passwd "$(id -u)" | cut -d: -f6 || true)
    is_home "$HOME" || HOME=$repo/.cache/home
    UV_CACHE_DIR=${UV_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/uv}
    usable "$UV_CACHE_DIR" || UV_CACHE_DIR=$repo/.cache/uv
    mkdir -p "$HOME" "$UV_CACHE_DIR"
    [ "$(stat -c %d "$UV_CACHE_DIR")" = "$(stat -c %d .venv)" ] || export UV_LINK_MODE=${UV_LINK_MODE:-copy}
    export HOME UV_CACHE_DIR UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-300}"
}

quiet=(-q)
[ ! -t 2 ] || quiet=()
with_pip() { PIP_USER=no .venv/bin/python -I -m pip install --no-input --disable-pip-version-check "${quiet[@]}" "$@"; }
with_uv() { .venv/bin/python -I -m uv pip install "${quiet[@]}" --python .venv/bin/python "$@"; }
# The list is complete, and says why it leaves one out: nothing is added to it.
install_all() { "$1" --no-deps -r requirements.txt && "$1" --no-deps --no-build-isolation -e .; }

install_python_packages() {
    say "installing the pinned Python packages (8 GB; downloaded the first time)"
    if with_pip --retries 2 'uv>=0.5,<1' && install_all with_uv; then return; fi
    say "that did not work with uv; trying pip, which takes longer"
    install_all with_pip ||
        die "the Python packages could not be installed (see above): can this machine reach the package index, and is the disk full?"
}

# --- all together -------------------------------------------------------------------------------

{ [ -w . ] && usable .cache; } || die "$repo cannot be written by $(id -un): use a checkout of your own."
exec 9>.cache/setup.lock
if have flock && ! flock -n 9; then
    say "waiting for another set-up in this checkout"
    flock 9
fi

# A complete .venv of this place is kept, and only brought up to date where files have changed.
current=$(cat "$stamp" 2>/dev/null || true)
version=$(version_of .venv/bin/python)
keep=
if suits "$version" && [ "${current% *}" = "$(place)" ] &&
    { [ -z "${PYTHON:-}" ] || [ "$(version_of "$PYTHON")" = "$version" ]; }; then
    keep=yes
else
    find_python
fi
wanted="$(place) $(contents)"

packages=()
have_database || packages+=(mariadb-server-core mariadb-client-core)
have dot || packages+=(graphviz) # draws DataJoint's diagrams
if [ -z "$keep" ] && ! "$python" -I -c 'import ensurepip, venv' 2>/dev/null; then
    packages+=("python$version-venv")
fi
[ ${#packages[@]} -eq 0 ] || install_system_packages "${packages[@]}"
have_database || die "mariadbd is still not on the PATH: reinstall mariadb-server-core and mariadb-client-core."

if [ "$current" = "$wanted" ] && [ -n "$keep" ]; then
    say "nothing to do in .venv (Python $version)"
    exit 0
fi
[ -n "$keep" ] || make_venv
echo unfinished >"$stamp"
prepare_uv
install_python_packages
.venv/bin/python -I -c 'import av, cv2, imgaug, tables, torch' ||
    die "an installed package does not load (see above): install the system library it names, then run this again."
echo "$wanted" >"$stamp.new"
mv "$stamp.new" "$stamp"
say "done"
