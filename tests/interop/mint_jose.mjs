// Signs a token with jose.
//
// Reads {"alg": "...", "key": "<text secret or PEM>", "claims": {...}, "headers": {...}} from stdin, prints the token.
// The header has alg and typ = "JWT"; "headers" adds to it, and "typ": null leaves typ out.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

// tests/run installs jose here, outside the folders that an import would look in.
const { SignJWT, importPKCS8 } = createRequire(new URL('../../target/interop/', import.meta.url))('jose');

const { alg, key, claims, headers } = JSON.parse(readFileSync(0, 'utf8'));
const header = { alg, typ: 'JWT', ...headers };
if (header.typ === null) delete header.typ;
const secret = alg.startsWith('HS') ? new TextEncoder().encode(key) : await importPKCS8(key, alg);
console.log(await new SignJWT(claims).setProtectedHeader(header).sign(secret));
