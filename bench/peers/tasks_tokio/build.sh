#!/bin/sh
# build.sh CARGO SOURCE TARGET OUTPUT - builds a program with the crates of Debian's packages, offline.
set -eu
cargo=$1 source=$2 target=$3 output=$4
export CARGO_HOME="$target/home" CARGO_TARGET_DIR="$target" RUSTC="${RUSTC:-/usr/bin/rustc}"
mkdir -p "$target/home" "$target/crate/src"
cp "$source/Cargo.toml" "$target/crate/"
cp "$source/src/main.rs" "$target/crate/src/"
cat >"$target/home/config.toml" <<'CONFIG'
[source.crates-io]
replace-with = "debian"
[source.debian]
directory = "/usr/share/cargo/registry"
CONFIG
(cd "$target/crate" && "$cargo" build --release --offline --quiet)
cp "$target/release/$(basename "$source")" "$output"
