// The client of GitHub Apps, unmodified, against another base URL. From standard input:
//   {"url", "app", "key", "installation", "path", "ahead"}, where ahead is how many seconds its clock is fast.

import { readFileSync } from "node:fs";

// tests/run installs it here, outside the folders that an import would look in.
const load = (file) => import(new URL(`../../target/interop/node_modules/@octokit/${file}`, import.meta.url));

const order = JSON.parse(readFileSync(0, "utf8"));
const { createAppAuth } = await load("auth-app/dist-node/index.js");
const { Octokit } = await load("core/dist-src/index.js");

// The clock of a machine that is set wrong.
const real = Date;
globalThis.Date = class extends real {
  constructor(...given) {
    super(...(given.length === 0 ? [real.now() + order.ahead * 1000] : given));
  }
  static now() {
    return real.now() + order.ahead * 1000;
  }
};

let warnings = 0;
const silent = { debug() {}, info() {}, warn() { warnings += 1; }, error() {} };
const client = (more) =>
  new Octokit({
    baseUrl: order.url,
    authStrategy: createAppAuth,
    auth: { appId: order.app, privateKey: order.key, ...more },
    log: silent,
  });

const app = client({});
const { data: known } = await app.request("GET /app");
const { data: installations } = await app.request("GET /app/installations");

const installed = client({ installationId: order.installation });
const narrowed = await app.auth({
  type: "installation",
  installationId: order.installation,
  permissions: { contents: "read" },
  repositoryNames: ["hello"],
});
const { status } = await installed.request(`GET ${order.path}`);
const { data: reached } = await installed.request("GET /installation/repositories");
const { status: revoked } = await installed.request("DELETE /installation/token");

console.log(
  JSON.stringify({
    status,
    slug: known.slug,
    installations: installations.length,
    permissions: narrowed.permissions,
    repositories: reached.total_count,
    revoked,
    warnings,
  }),
);
