-- The journal of first uses: a database of its own. The application id is "SGRJ"; by it the file is told from others.
PRAGMA application_id = 1397183050;

CREATE TABLE hash_key (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    secret BLOB NOT NULL
);

-- In the order of their use, so that a commit writes to the end of the table, and of few places of the index.
CREATE TABLE used (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL,
    app BIGINT NOT NULL,
    at BIGINT NOT NULL,
    until BIGINT NOT NULL
);
CREATE INDEX used_minute ON used (until / 60000);
