-- Who signs in with HTTP Basic. The password's hash is sealed under the row's number, so it comes a step later.
CREATE TABLE service_account (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    account TEXT NOT NULL REFERENCES account (id),
    kind TEXT NOT NULL,
    roles TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    sealed BLOB,
    credential_version BIGINT NOT NULL
);
CREATE INDEX service_account_by_account ON service_account (account);
