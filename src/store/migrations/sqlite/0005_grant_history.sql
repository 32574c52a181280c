-- Every set of scopes that was put in force; versions are counted from 1 for each app and target. A grant that is deleted
-- keeps its history, an app that is deleted takes it along; the audit stays.
CREATE TABLE grant_history (
    app BIGINT NOT NULL REFERENCES app (number) ON DELETE CASCADE,
    target_kind TEXT NOT NULL,
    target_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    why TEXT,
    scopes TEXT NOT NULL,
    PRIMARY KEY (app, target_kind, target_id, version)
);

-- What was published before this table was kept, as the audit tells it; not what an earlier app of the same name had.
INSERT INTO grant_history (app, target_kind, target_id, version, at, actor, why, scopes)
SELECT app.number, target_kind, target_id,
    ROW_NUMBER() OVER (PARTITION BY app.number, target_kind, target_id ORDER BY told.id), told.at, actor, why, scopes
FROM (
    SELECT id, subject, at, actor, why,
        CASE WHEN COALESCE(after, before) ->> '$.bot' IS NULL THEN 'account' ELSE 'bot' END AS target_kind,
        COALESCE(COALESCE(after, before) ->> '$.bot', COALESCE(after, before) ->> '$.account') AS target_id,
        COALESCE(before ->> '$.published', '[]') AS scopes_before,
        COALESCE(after ->> '$.published', '[]') AS scopes
    FROM audit WHERE kind = 'grant'
) AS told
JOIN app ON app.client_id = told.subject
WHERE scopes <> scopes_before AND told.id > COALESCE(
    (SELECT MAX(id) FROM audit WHERE kind = 'app' AND action = 'add' AND subject = app.client_id), 0
);

-- The version is now that of the history, 0 where nothing was ever published.
UPDATE app_grant SET version = COALESCE((
    SELECT MAX(version) FROM grant_history WHERE grant_history.app = app_grant.app
    AND grant_history.target_kind = app_grant.target_kind AND grant_history.target_id = app_grant.target_id
), 0);

ALTER TABLE app_grant ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
UPDATE app_grant SET updated_at = COALESCE((
    SELECT MAX(at) FROM audit WHERE kind = 'grant' AND subject = (SELECT client_id FROM app WHERE number = app_grant.app)
    AND after ->> ('$.' || target_kind) = target_id
), 0);
