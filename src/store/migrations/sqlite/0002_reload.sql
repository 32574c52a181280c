-- Requests to read the configuration anew, and what each node made of them.
CREATE TABLE reload_request (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL
);

CREATE TABLE reload_outcome (
    request_id BIGINT NOT NULL REFERENCES reload_request (id) ON DELETE CASCADE,
    node TEXT NOT NULL,
    ok BOOLEAN NOT NULL,
    message TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (request_id, node)
);
