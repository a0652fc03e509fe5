#!/usr/bin/env bash
# Installs what a fresh Debian machine lacks to build CertChain. Safe to run again: what is there
# is left alone, and nothing is asked for if nothing is missing.
#
# Needed: a C++ compiler and libclang (RocksDB and its bindings), and Rust.
# Not needed: protoc (the .proto files are compiled in Rust), cmake, a RocksDB package.
set -euo pipefail

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

has() { command -v "$1" >/dev/null 2>&1; }

# Where the bindings generator finds libclang: as clang-sys looks for it, roughly.
has_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] && return 0
    ldconfig -p 2>/dev/null | grep -q 'libclang[-.0-9]*\.so' && return 0
    local found
    for found in /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so* /usr/lib64/libclang*.so*; do
        [ -e "$found" ] && return 0
    done
    return 1
}

# The compiler's own headers (stddef.h and so on), which libclang needs to read RocksDB's header.
has_clang_headers() {
    local found
    for found in /usr/lib/llvm-*/lib/clang/*/include/stddef.h /usr/lib/clang/*/include/stddef.h \
        /usr/lib64/clang/*/include/stddef.h; do
        [ -e "$found" ] && return 0
    done
    has clang
}

packages=()
has c++ || has g++ || has clang++ || packages+=(g++)
has cc || has gcc || has clang || packages+=(gcc)
has git || packages+=(git)
if ! has_libclang || ! has_clang_headers; then packages+=(libclang-dev); fi

if [ "${#packages[@]}" -gt 0 ]; then
    has apt-get || fail "missing: ${packages[*]}. This machine has no apt-get; install them by its own means"
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        has sudo || fail "missing: ${packages[*]}. Run as root: apt-get install ${packages[*]}"
        as_root=(sudo)
    fi
    say "installing ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}"
fi

if ! has cargo && [ -r "$HOME/.cargo/env" ]; then
    # shellcheck disable=SC1091
    . "$HOME/.cargo/env"
fi
has cargo || fail "Rust is missing: install it with rustup (https://rustup.rs), then run again"
wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "$0")/../../Cargo.toml")
version=$(rustc --version | cut -d' ' -f2)
oldest=$(printf '%s\n%s\n' "$wanted" "${version%%-*}" | sort -V | head -n1)
[ "$oldest" = "$wanted" ] || fail "Rust $version is too old, $wanted is needed: run 'rustup update stable'"
