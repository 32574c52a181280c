-- The service account in whose name the gateway created an app; none where a person did, or where the app was moved since.
ALTER TABLE app ADD COLUMN created_by TEXT;
CREATE INDEX app_created_by ON app (created_by) WHERE created_by IS NOT NULL;
