#!/bin/sh
# Makes the certificates beside it anew, of the keys beside it, each signed by itself: certificates.sh
# The tests' time is 2026-11-22T12:00:00Z; one has just ended, one ends soon, one begins soon, one is good for long.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
certify() { # KEY FROM TO NAME
    printf '[ca]\ndefault_ca=d\n[d]\ndatabase=%s/db\nserial=%s/serial\nnew_certs_dir=%s\ndefault_md=default\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n' \
        "$work" "$work" "$work" > "$work/ca.conf"
    : > "$work/db"
    openssl rand -hex 8 > "$work/serial"
    openssl req -new -key "$1.pem" -subj "/CN=$4" -out "$work/request"
    openssl ca -batch -notext -selfsign -config "$work/ca.conf" -keyfile "$1.pem" -in "$work/request" \
        -startdate "$2" -enddate "$3" -out "$4.crt" 2> "$work/log" || { cat "$work/log"; exit 1; }
}
certify rsa 20250101000000Z 20261122115959Z rsa
certify p256 20250101000000Z 20261122120059Z p256
certify p384 20261122120100Z 20270101000000Z p384
certify ed25519 20250101000000Z 20990101000000Z ed25519
