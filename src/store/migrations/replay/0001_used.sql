-- The journal of first uses: a database of its own. The application id is "SGRJ"; by it the file is told from others.
PRAGMA application_id = 1397183050;

CREATE TABLE hash_key (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    secret BLOB NOT NULL
);

-- In the order in which entries end: new ones come at one end, what is over goes at the other.
CREATE TABLE used (
    until BIGINT NOT NULL,
    hash BLOB NOT NULL,
    app BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (until, hash)
) WITHOUT ROWID;
