-- Who does what is done once in a whole cluster. `beat` counts up while the holder lives; an empty holder has let go.
CREATE TABLE lease (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    beat BIGINT NOT NULL
);
