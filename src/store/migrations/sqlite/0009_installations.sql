-- Apps on accounts. Permissions are a JSON object; repositories a JSON list, absent where all are meant.
CREATE TABLE installation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app BIGINT NOT NULL REFERENCES app (number) ON DELETE CASCADE,
    account TEXT NOT NULL REFERENCES account (id),
    target TEXT NOT NULL,
    permissions TEXT NOT NULL,
    repositories TEXT,
    suspended_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (app, account)
);
CREATE INDEX installation_by_account ON installation (account);
