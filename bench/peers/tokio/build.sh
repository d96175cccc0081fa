#!/bin/sh
# build.sh CARGO SOURCE TARGET OUTPUT... - builds the programs with the crates of Debian's packages, offline.
set -eu
cargo=$1 source=$2 target=$3
shift 3
export CARGO_HOME="$target/home" CARGO_TARGET_DIR="$target" RUSTC="${RUSTC:-/usr/bin/rustc}"
mkdir -p "$target/home" "$target/crate/src"
cp "$source/Cargo.toml" "$target/crate/"
cp "$source"/src/*.rs "$target/crate/src/"
cat >"$target/home/config.toml" <<'CONFIG'
[source.crates-io]
replace-with = "debian"
[source.debian]
directory = "/usr/share/cargo/registry"
CONFIG
(cd "$target/crate" && "$cargo" build --release --offline --quiet)
for output in "$@"; do
        cp "$target/release/$(basename "$output")" "$output"
done
