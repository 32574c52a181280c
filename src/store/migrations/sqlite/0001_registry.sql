-- Accounts, bots and apps. Times are milliseconds since 1970, lists are JSON.
CREATE TABLE account (
    id TEXT NOT NULL PRIMARY KEY
);

-- Not unique by host: a host may move between two accounts within one commit, which checks at its end.
CREATE TABLE account_host (
    account TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    host TEXT NOT NULL,
    PRIMARY KEY (account, host)
);
CREATE INDEX account_host_by_host ON account_host (host);

CREATE TABLE bot (
    id TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL REFERENCES account (id)
);
CREATE INDEX bot_by_account ON bot (account);

-- AUTOINCREMENT: a number is never given to another app, key, change or request.
CREATE TABLE app (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    client_id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    account TEXT NOT NULL REFERENCES account (id),
    level TEXT NOT NULL,
    authenticators TEXT NOT NULL,
    algorithms TEXT NOT NULL,
    enforce_jti BOOLEAN NOT NULL,
    enforce_jwe BOOLEAN NOT NULL,
    require_exp BOOLEAN NOT NULL,
    max_lifetime BIGINT,
    enabled BOOLEAN NOT NULL,
    credential_version BIGINT NOT NULL
);
CREATE INDEX app_by_account ON app (account);

CREATE TABLE app_bot (
    app BIGINT NOT NULL REFERENCES app (number) ON DELETE CASCADE,
    bot TEXT NOT NULL REFERENCES bot (id),
    PRIMARY KEY (app, bot)
);
CREATE INDEX app_bot_by_bot ON app_bot (bot);

-- A secret is sealed and has no spki; a public key has an spki and is not sealed.
CREATE TABLE app_key (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    app BIGINT NOT NULL REFERENCES app (number) ON DELETE CASCADE,
    kid TEXT,
    kind TEXT NOT NULL,
    sealed BLOB,
    spki BLOB,
    only_algorithm TEXT,
    state TEXT NOT NULL,
    retire_at BIGINT,
    last_used_at BIGINT,
    UNIQUE (app, kid)
);

-- The version is that of the change which last published.
CREATE TABLE app_grant (
    app BIGINT NOT NULL REFERENCES app (number) ON DELETE CASCADE,
    target_kind TEXT NOT NULL,
    target_id TEXT NOT NULL,
    draft TEXT NOT NULL,
    published TEXT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (app, target_kind, target_id)
);
CREATE INDEX app_grant_by_target ON app_grant (target_kind, target_id);

CREATE TABLE table_grant (
    app BIGINT NOT NULL REFERENCES app (number) ON DELETE CASCADE,
    resource_kind TEXT NOT NULL,
    resource_name TEXT NOT NULL,
    permissions TEXT NOT NULL,
    PRIMARY KEY (app, resource_kind, resource_name)
);

-- Which account, bot or app changed; nodes follow it.
CREATE TABLE change (
    version INTEGER PRIMARY KEY AUTOINCREMENT,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL
);

CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    action TEXT NOT NULL,
    before TEXT,
    after TEXT,
    why TEXT
);

INSERT INTO account (id) VALUES ('default');
INSERT INTO change (at, kind, id) VALUES (0, 'account', 'default');
