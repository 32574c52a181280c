-- Whose each change was. Of what is gone by now it is not known.
ALTER TABLE audit ADD COLUMN account TEXT;
UPDATE audit SET account = subject WHERE kind = 'account';
UPDATE audit SET account = (SELECT bot.account FROM bot WHERE bot.id = audit.subject) WHERE kind = 'bot';
UPDATE audit SET account = (SELECT app.account FROM app WHERE app.client_id = audit.subject)
WHERE kind NOT IN ('account', 'bot');
CREATE INDEX audit_by_account ON audit (account);
CREATE INDEX audit_by_subject ON audit (subject);
