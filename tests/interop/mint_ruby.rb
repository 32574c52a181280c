# Signs a token with Ruby's jwt.
#
# Reads {"alg": "...", "key": "<text secret or PEM>", "claims": {...}, "headers": {...}} from stdin, prints the token.
# The header has alg and typ = "JWT"; "headers" adds to it. EdDSA would need another gem.

require 'json'
require 'jwt'
require 'openssl'

order = JSON.parse($stdin.read)
algorithm = order['alg']
key = algorithm.start_with?('HS') ? order['key'] : OpenSSL::PKey.read(order['key'])
puts JWT.encode(order['claims'], key, algorithm, { typ: 'JWT' }.merge(order['headers'] || {}))
