// A client made with oauth4webapi: discovery, a token, introspection, revocation.
//
// Reads {"issuer", "client", "key": "<PEM>" or "secret", "scope"} from stdin. Prints the token's answer, what introspection says before
// and after the revocation, and the error for a scope that is not held.

import { readFileSync } from 'node:fs';

// tests/run installs it here, outside the folders that an import would look in.
const oauth = await import(new URL('../../target/interop/node_modules/oauth4webapi/build/index.js', import.meta.url));

const { issuer, client: id, key, secret, scope } = JSON.parse(readFileSync(0, 'utf8'));
const options = { [oauth.allowInsecureRequests]: true };
const url = new URL(issuer);
const discovered = await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...options });
const server = await oauth.processDiscoveryResponse(url, discovered);

const pem = (text) => Buffer.from(text.replace(/-----[^-]+-----|\s/g, ''), 'base64');
const ec = { name: 'ECDSA', namedCurve: 'P-256' };
const authenticate = key
  ? oauth.PrivateKeyJwt(await crypto.subtle.importKey('pkcs8', pem(key), ec, false, ['sign']))
  : oauth.ClientSecretJwt(secret);
const client = { client_id: id };

const grant = async (scope) => {
  const answer = await oauth.clientCredentialsGrantRequest(server, client, authenticate, { scope }, options);
  return oauth.processClientCredentialsResponse(server, client, answer);
};
const introspect = async (token) => {
  const answer = await oauth.introspectionRequest(server, client, authenticate, token, options);
  return oauth.processIntrospectionResponse(server, client, answer);
};

const token = await grant(scope);
const before = await introspect(token.access_token);
await oauth.processRevocationResponse(
  await oauth.revocationRequest(server, client, authenticate, token.access_token, options),
);
const after = await introspect(token.access_token);
const refused = await grant('none').then(() => null, (error) => error.error);
console.log(JSON.stringify({ token, before, after, refused }));
