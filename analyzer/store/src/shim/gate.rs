//! Which statements a reader may run: one SELECT over our tables, nothing that would tell of rows outside its scope.
//!
//! The engine itself refuses writes, files, networks and changes of settings (`readonly=1`), and filters the rows of
//! our tables. What it does not filter is refused here: its system tables, table functions such as `merge`, and
//! statements that estimate. Words are read as the engine reads them: comments and strings skipped, quotes removed.

/// Why a statement is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused(pub(super) String);

/// One word or sign of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// An identifier or keyword, lower case; quoted or not.
    Word(String),
    /// Anything else that is not white space: signs, numbers, strings (as `'`).
    Sign(char),
}

/// Keywords that may not stand anywhere.
const WORDS: [&str; 6] = ["settings", "explain", "describe", "show", "into", "outfile"];
/// Functions that reach beyond the rows.
const FUNCTIONS: [&str; 6] =
    ["joinget", "joingetornull", "file", "hascolumnintable", "getsetting", "getserverport"];
/// Table functions that make their rows themselves.
const HARMLESS: [&str; 6] = ["numbers", "numbers_mt", "zeros", "values", "format", "generate_series"];
/// The one database that may be named.
const DATABASE: &str = "dongson";

/// Checks a reader's statement.
pub(super) fn check(sql: &str, table_functions: &[String]) -> Result<(), Refused> {
    let tokens = tokens(sql)?;
    match tokens.iter().find(|token| **token != Token::Sign('(')) {
        Some(Token::Word(word)) if word == "select" || word == "with" => {}
        _ => return Err(refused("a reader may only SELECT")),
    }
    for (at, token) in tokens.iter().enumerate() {
        let (next, after) = (tokens.get(at + 1), tokens.get(at + 2));
        match token {
            Token::Sign(';') if next.is_some() => return Err(refused("one statement at a time")),
            Token::Word(word) => check_word(word, next, after, table_functions)?,
            Token::Sign(_) => {}
        }
    }
    Ok(())
}

fn check_word(
    word: &str,
    next: Option<&Token>,
    after: Option<&Token>,
    functions: &[String],
) -> Result<(), Refused> {
    if WORDS.contains(&word) {
        return Err(refused(&format!("{word:?} is not for readers")));
    }
    let called = next == Some(&Token::Sign('('));
    let reaches_out = FUNCTIONS.contains(&word) || word.starts_with("dictget");
    let table_function = functions.iter().any(|name| name == word) && !HARMLESS.contains(&word);
    if called && (reaches_out || table_function) {
        return Err(refused(&format!("the function {word:?} is not for readers")));
    }
    let foreign =
        matches!(word, "system" | "information_schema" | "default" | "_temporary_and_external_tables");
    if foreign && next == Some(&Token::Sign('.')) && matches!(after, Some(Token::Word(_))) {
        return Err(refused(&format!("the database {word:?} is not for readers, only {DATABASE:?} is")));
    }
    Ok(())
}

fn refused(words: &str) -> Refused {
    Refused(words.to_owned())
}

/// Splits a statement. Refuses what it cannot follow (heredocs, open strings), so that nothing hides in it.
fn tokens(sql: &str) -> Result<Vec<Token>, Refused> {
    let mut tokens = Vec::new();
    let mut rest = sql.chars().peekable();
    while let Some(sign) = rest.next() {
        let following = rest.peek().copied();
        match sign {
            _ if sign.is_whitespace() => {}
            '-' if following == Some('-') => skip_line(&mut rest),
            '#' => skip_line(&mut rest),
            '/' if following == Some('*') => skip_comment(&mut rest)?,
            '\'' => {
                quoted(&mut rest, '\'')?;
                tokens.push(Token::Sign('\''));
            }
            '"' | '`' => tokens.push(Token::Word(quoted(&mut rest, sign)?.to_lowercase())),
            '$' => return Err(refused("`$` is not for readers")),
            '“' | '”' | '‘' | '’' | '\0' => return Err(refused("a sign that is not for readers")),
            _ if sign.is_alphabetic() || sign == '_' => {
                let mut word = String::from(sign);
                while let Some(next) = rest.next_if(|next| next.is_alphanumeric() || *next == '_') {
                    word.push(next);
                }
                tokens.push(Token::Word(word.to_lowercase()));
            }
            _ => tokens.push(Token::Sign(sign)),
        }
    }
    Ok(tokens)
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn skip_line(rest: &mut Rest<'_>) {
    while rest.next_if(|&sign| sign != '\n').is_some() {}
}

fn skip_comment(rest: &mut Rest<'_>) -> Result<(), Refused> {
    let mut depth = 1;
    rest.next();
    while depth > 0 {
        match (rest.next(), rest.peek()) {
            (None, _) => return Err(refused("a comment does not end")),
            (Some('*'), Some('/')) => {
                rest.next();
                depth -= 1;
            }
            (Some('/'), Some('*')) => return Err(refused("a comment inside a comment")),
            _ => {}
        }
    }
    Ok(())
}

/// Reads up to the closing quote; a backslash or a doubled quote keeps it open.
fn quoted(rest: &mut Rest<'_>, quote: char) -> Result<String, Refused> {
    let mut text = String::new();
    loop {
        match rest.next() {
            None => return Err(refused("a string does not end")),
            Some('\\') => {
                if quote != '\'' {
                    return Err(refused("a backslash in a name"));
                }
                text.extend(rest.next());
            }
            Some(sign) if sign == quote => {
                if rest.next_if_eq(&quote).is_none() {
                    return Ok(text);
                }
                text.push(quote);
            }
            Some(sign) => text.push(sign),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn functions() -> Vec<String> {
        ["merge", "mergetreeindex", "remote", "numbers", "view"].map(str::to_owned).into()
    }

    #[track_caller]
    fn allowed(sql: &str) {
        assert_eq!(check(sql, &functions()), Ok(()), "{sql}");
    }

    #[track_caller]
    fn denied(sql: &str) {
        assert!(check(sql, &functions()).is_err(), "{sql}");
    }

    #[test]
    fn selects_over_our_tables() {
        allowed("SELECT count() FROM dongson.events WHERE message = 'system.tables; SETTINGS'");
        allowed("WITH x AS (SELECT 1) SELECT * FROM x -- settings\n");
        allowed("(SELECT 1) UNION ALL (SELECT number FROM numbers(3));");
        allowed("SELECT merge, remote FROM events ORDER BY n DESC /* show */");
    }

    #[test]
    fn ways_around_the_scope() {
        denied("");
        denied("DROP TABLE dongson.events");
        denied("SELECT 1 SETTINGS additional_table_filters = {}");
        denied("SELECT 1; SELECT 2");
        denied("SELECT * FROM merge('dongson', '.*')");
        denied("SELECT * FROM merge /* x */ ('dongson', '.*')");
        denied("SELECT * FROM `merge`('dongson', '.*')");
        denied("SELECT * FROM mergeTreeIndex(dongson, events)");
        denied("SELECT * FROM system.parts");
        denied("SELECT * FROM \"system\" . `parts`");
        denied("SELECT * FROM INFORMATION_SCHEMA.tables");
        denied("SELECT * FROM (EXPLAIN ESTIMATE SELECT * FROM dongson.events)");
        denied("SELECT 'a\\' , 1 FROM system.one");
        denied("SELECT $x$ ' $x$ FROM system.one");
        denied("SELECT 1 /* /* */ FROM system.one");
        denied("SELECT dictGetString('x', 'y', 1)");
        denied("SELECT * FROM `sy\\x73tem`.one");
    }

    proptest! {
        #[test]
        fn any_text_is_decided(text: String) {
            drop(check(&text, &functions()));
        }
    }
}
