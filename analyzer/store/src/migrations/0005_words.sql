-- The index takes every byte of a sign that is not ASCII for part of a word. The words of such places are written out by
-- the program (row/words.rs) into a column of their own; for rows from before they are made here, near enough.
ALTER TABLE dongson.events ADD COLUMN IF NOT EXISTS words String DEFAULT {words} CODEC(ZSTD(1));

ALTER TABLE dongson.events DROP INDEX IF EXISTS by_words;

ALTER TABLE dongson.events MODIFY COLUMN search String ALIAS concatWithSeparator(' ', {search}, words);

ALTER TABLE dongson.events ADD INDEX IF NOT EXISTS by_words search TYPE text(tokenizer = splitByNonAlpha);

ALTER TABLE dongson.events MATERIALIZE INDEX by_words;
