#!/usr/bin/env bash
# logmon-core is for `cargo add`: no crate of TLS, HTTP, sockets or disk formats may reach it.
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

# Beginnings of crate names; the features of tokio are looked at below.
HEAVY='rustls|ring|aws-lc|openssl|native-tls|webpki|hyper|http|h2|axum|tower|reqwest|ureq|tungstenite'
HEAVY+='|mio|socket2|quinn|zstd|flate2|lz4|crc32c|memmap2|tempfile|tantivy|rusqlite|libsqlite3|mongodb|redb|sled|rocksdb'

tree() {
  cargo tree --package logmon-core --edges normal --prefix none --all-features "$@"
}

found=$(tree --format '{p}' | grep -E "^($HEAVY)[-_a-z0-9]* v" | sort -u || true)
[ -z "$found" ] || die "logmon-core depends on what it should not:
$found"

features=$(tree --format '{p} {f}' | grep -E '^tokio v' | grep -Ewo 'net|fs|process|signal|rt-multi-thread|io-std' | sort -u || true)
[ -z "$features" ] || die "logmon-core switches on features of tokio that it should not: $features"

echo "$(tree | sort -u | wc -l) crates with every feature, none of them heavy"
