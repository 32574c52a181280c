-- The certificate in which a public key came, in DER; its spki stands beside it.
ALTER TABLE app_key ADD COLUMN certificate BLOB;
