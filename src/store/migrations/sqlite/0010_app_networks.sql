-- Where an app's calls may come from, as a list of networks; an empty one means anywhere.
ALTER TABLE app ADD COLUMN networks TEXT NOT NULL DEFAULT '[]';
