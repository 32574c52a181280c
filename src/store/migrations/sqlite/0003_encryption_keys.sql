-- Key pairs that apps encrypt their tokens to. The private half is sealed under the row's number, so it comes a step later.
CREATE TABLE encryption_key (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    app BIGINT NOT NULL REFERENCES app (number) ON DELETE CASCADE,
    kid TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    sealed BLOB,
    thumbprint TEXT NOT NULL,
    state TEXT NOT NULL,
    retire_at BIGINT,
    created_at BIGINT NOT NULL
);
CREATE INDEX encryption_key_by_app ON encryption_key (app);
