-- Signs that are no letters no longer hold words together: the expression of the index was made anew.
ALTER TABLE dongson.events DROP INDEX IF EXISTS by_words;

ALTER TABLE dongson.events MODIFY COLUMN search String ALIAS {search};

ALTER TABLE dongson.events ADD INDEX IF NOT EXISTS by_words search TYPE text(tokenizer = splitByNonAlpha);

ALTER TABLE dongson.events MATERIALIZE INDEX by_words;
