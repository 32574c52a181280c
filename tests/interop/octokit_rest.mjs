// The client of a platform's REST API, unmodified, against another base URL. From standard input: {"url", "token"}.

import { readFileSync } from "node:fs";

// tests/run installs it here, outside the folders that an import would look in.
const load = (file) => import(new URL(`../../target/interop/node_modules/@octokit/${file}`, import.meta.url));

const order = JSON.parse(readFileSync(0, "utf8"));
const { Octokit } = await load("rest/dist-src/index.js");

const client = new Octokit({ baseUrl: order.url, auth: order.token });
const of = { owner: "acme", repo: "hello" };
const calls = {
  content: () => client.rest.repos.getContent({ ...of, path: "docs/x.md" }),
  ref: () => client.rest.git.getRef({ ...of, ref: "heads/feature/x" }),
  branch: () => client.rest.repos.getBranch({ ...of, branch: "feature/x" }),
  climbing: () => client.rest.repos.getContent({ ...of, path: "../../../secret" }),
};

const said = {};
for (const [name, call] of Object.entries(calls)) {
  said[name] = await call().then(
    (answer) => answer.status,
    (error) => error.status ?? String(error),
  );
}
console.log(JSON.stringify(said));
