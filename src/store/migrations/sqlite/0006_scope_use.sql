-- When an app last used a scope, to a minute. The target is as in app_grant; the grant itself may be gone.
CREATE TABLE scope_use (
    app BIGINT NOT NULL REFERENCES app (number) ON DELETE CASCADE,
    target_kind TEXT NOT NULL,
    target_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    last_used_at BIGINT NOT NULL,
    PRIMARY KEY (app, target_kind, target_id, scope)
);
CREATE INDEX scope_use_by_time ON scope_use (last_used_at);
