// Signs an app's own token and calls a gateway with it.
//
//     npm install jose typescript @types/node
//     npx tsc --module nodenext call_app.mts && node call_app.mjs https://gateway.example.com
//
// Newer versions of Node run it as it is. It takes
//
//     SCOPEGATE_PRIVATE_KEY_FILE   the path of the private key, or
//     SCOPEGATE_PRIVATE_KEY        the key itself, in PEM; line breaks may be written as \n
//     SCOPEGATE_APP_ID             the app's id
//
// from the environment of a server. Never name such a variable NEXT_PUBLIC_… or VITE_…: builds put those into what
// browsers download.

import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { SignJWT } from 'jose';

interface AppClaims {
  iss: string; // the app's id
  iat: number; // seconds since 1970, not milliseconds
  exp: number;
}

function variable(name: string): string {
  const value = process.env[name]?.trim();
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

function privateKey(): KeyObject {
  const pem = process.env['SCOPEGATE_PRIVATE_KEY']
    ? variable('SCOPEGATE_PRIVATE_KEY').replace(/^["']|["']$/g, '').replace(/\\n/g, '\n')
    : readFileSync(variable('SCOPEGATE_PRIVATE_KEY_FILE'), 'ascii');
  // Reads PKCS #1 and PKCS #8 alike.
  return createPrivateKey(pem);
}

async function appToken(appId: string, key: KeyObject, now: number): Promise<string> {
  const claims: AppClaims = {
    iss: appId,
    iat: now - 60, // for a gateway whose clock is behind
    exp: now + 540, // ten minutes are the limit, and this clock may be ahead
  };
  // The algorithm stands in the header; among the claims it would say nothing.
  return new SignJWT({ ...claims }).setProtectedHeader({ alg: 'RS256', typ: 'JWT' }).sign(key);
}

async function main(): Promise<void> {
  const address = process.argv[2];
  if (!address) throw new Error('give the address of the gateway');
  const [appId, key, url] = [variable('SCOPEGATE_APP_ID'), privateKey(), new URL('/app', address)];
  const call = async (now: number): Promise<Response> =>
    fetch(url, { headers: { authorization: `Bearer ${await appToken(appId, key, now)}` }, redirect: 'error' });

  const now = Math.floor(Date.now() / 1000);
  let response = await call(now);
  const theirs = Math.floor(Date.parse(response.headers.get('date') ?? '') / 1000);
  if (response.status === 401 && Math.abs(theirs - now) > 5) {
    // This clock is wrong: once more, by the gateway's.
    response = await call(theirs);
  }
  console.log(JSON.stringify({ status: response.status, body: await response.text() }));
  if (!response.ok) process.exitCode = 1;
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
