-- What is over is found without a look at what is not: an app may have thousands of revocations in force.
DROP INDEX revocation_by_app;
CREATE INDEX revocation_by_app ON revocation (app, until);
