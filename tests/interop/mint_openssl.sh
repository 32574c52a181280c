#!/usr/bin/env bash
# Signs a token with the openssl command alone.
#
#   mint_openssl.sh ALG KEYFILE PAYLOAD_JSON [HEADER_JSON]
#
# ALG is HS256, RS256, ES256 or EdDSA. KEYFILE holds a private key as PEM; for HS256 the secret as text, and line ends
# after it do not count. HEADER_JSON replaces the whole header {"alg":ALG,"typ":"JWT"}. Both JSON texts are signed byte
# for byte.
set -euo pipefail

if (($# < 3 || $# > 4)); then
    echo "usage: mint_openssl.sh ALG KEYFILE PAYLOAD_JSON [HEADER_JSON]" >&2
    exit 2
fi
alg=$1 keyfile=$2 payload=$3
header=${4-'{"alg":"'$alg'","typ":"JWT"}'}

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
hex() { od -An -v -tx1 | tr -d ' \n'; }
unhex() { printf '%b' "$(sed 's/../\\x&/g')"; }

# An ECDSA signature comes as a DER sequence of two integers, which have no fixed length;
# a JWS wants r and s as 32 bytes each (RFC 7518, 3.4).
raw_p256() {
    local integer integers
    mapfile -t integers < <(openssl asn1parse -inform DER | sed -n 's/^.*prim: INTEGER *://p')
    ((${#integers[@]} == 2)) || { echo "mint_openssl.sh: not an ECDSA signature" >&2; return 1; }
    for integer in "${integers[@]}"; do
        printf '%64s' "$integer" | tr ' ' '0'
    done | unhex
}

sign() {
    local secret
    case $alg in
    HS256)
        secret=$(<"$keyfile")
        openssl dgst -sha256 -mac HMAC -macopt "hexkey:$(printf '%s' "$secret" | hex)" -binary "$1"
        ;;
    RS256) openssl dgst -sha256 -sign "$keyfile" -binary "$1" ;;
    ES256) openssl dgst -sha256 -sign "$keyfile" -binary "$1" | raw_p256 ;;
    EdDSA) openssl pkeyutl -sign -inkey "$keyfile" -rawin -in "$1" ;;
    *) echo "mint_openssl.sh: no such algorithm here: $alg" >&2; return 2 ;;
    esac
}

input=$(mktemp)
trap 'rm -f "$input"' EXIT
printf '%s.%s' "$(printf '%s' "$header" | base64url)" "$(printf '%s' "$payload" | base64url)" >"$input"
signature=$(sign "$input" | base64url)
printf '%s.%s\n' "$(<"$input")" "$signature"
