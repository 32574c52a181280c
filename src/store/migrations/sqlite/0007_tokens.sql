-- The lives of tokens that we issue to apps; the tokens themselves are never stored. In the
-- order of their places; one that was not refreshed is current.
CREATE TABLE issued_token (
    app BIGINT NOT NULL REFERENCES app (number) ON DELETE CASCADE,
    place BIGINT NOT NULL,
    jti TEXT NOT NULL,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    refreshed_at BIGINT,
    good_until BIGINT,
    PRIMARY KEY (app, jti)
);
CREATE UNIQUE INDEX issued_token_current ON issued_token (app) WHERE refreshed_at IS NULL;

-- Tokens that are on no record: by jti, by subject and time, or by time alone.
CREATE TABLE revocation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app BIGINT NOT NULL REFERENCES app (number) ON DELETE CASCADE,
    jti TEXT,
    subject TEXT,
    issued_before BIGINT,
    -- When the last that it covers has ended: nothing needs to be kept of it afterwards.
    until BIGINT NOT NULL
);
CREATE INDEX revocation_by_app ON revocation (app);

-- Our own keys: the private halves, sealed. AUTOINCREMENT: a number is never given to another key.
CREATE TABLE signing_key (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kid TEXT NOT NULL UNIQUE,
    algorithm TEXT NOT NULL,
    sealed BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    signs_from BIGINT NOT NULL
);

-- Whose tokens changed, or, without an app, that signing keys did; nodes follow it. An app that was deleted needs no row:
-- its tokens name nobody.
CREATE TABLE token_change (
    version INTEGER PRIMARY KEY AUTOINCREMENT,
    app BIGINT
);
