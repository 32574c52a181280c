// Encrypts with jose.
//
// Reads {"jwk": {...}, "header": {...}, ...} from stdin and prints a compact JWE to that key with that protected header.
// Inside is "text" if it is there, else a token that jose signs with HS256: "claims" and "secret", a text.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

// tests/run installs jose here, outside the folders that an import would look in.
const { CompactEncrypt, SignJWT, importJWK } = createRequire(new URL('../../target/interop/', import.meta.url))('jose');

const { jwk, header, text, claims, secret } = JSON.parse(readFileSync(0, 'utf8'));
const encode = (text) => new TextEncoder().encode(text);
const inner =
  text ?? (await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', typ: 'JWT' }).sign(encode(secret)));
const key = header.alg === 'dir' ? encode(secret) : await importJWK(jwk, header.alg);
console.log(await new CompactEncrypt(encode(inner)).setProtectedHeader(header).encrypt(key));
