// A client made with openid-client: discovery, a token, introspection, revocation.
//
// Reads {"issuer", "client", "key": "<PEM>" or "secret", "scope", "audience" or null} from stdin. Prints the token's answer, what introspection says before
// and after the revocation, and the error for a scope that is not held.

import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

// tests/run installs it here, outside the folders that an import would look in.
const { Issuer } = createRequire(new URL('../../target/interop/', import.meta.url))('openid-client');

const { issuer, client: id, key, secret, scope, audience } = JSON.parse(readFileSync(0, 'utf8'));
const found = await Issuer.discover(`${issuer}/.well-known/oauth-authorization-server`);
const method = key ? 'private_key_jwt' : 'client_secret_jwt';
const alg = key ? 'ES256' : 'HS256';
const metadata = {
  client_id: id,
  client_secret: secret,
  token_endpoint_auth_method: method,
  token_endpoint_auth_signing_alg: alg,
};
const keys = key && { keys: [{ ...createPrivateKey(key).export({ format: 'jwk' }), alg, use: 'sig' }] };
const client = new found.Client(metadata, keys);
// Left out, the client names the issuer and the endpoint in a list.
const extras = audience ? { clientAssertionPayload: { aud: audience } } : {};
const token = await client.grant({ grant_type: 'client_credentials', scope }, extras);
const before = await client.introspect(token.access_token, undefined, extras);
await client.revoke(token.access_token, undefined, extras);
const after = await client.introspect(token.access_token, undefined, extras);
const refused = await client.grant({ grant_type: 'client_credentials', scope: 'none' }, extras).then(() => null, (e) => e.error);
const { access_token, scope: given, expires_in } = token;
console.log(JSON.stringify({
  token: { access_token, scope: given, expires_in: expires_in === 3600 || expires_in === 3599 ? 3600 : expires_in },
  before, after, refused,
}));
