//! Placeholders (`%name%`, modifier `expand`): values that are known only where the rules run.

use std::collections::BTreeMap;

/// What a placeholder stands for: name without `%` -> values.
pub(crate) type Placeholders = BTreeMap<String, Vec<String>>;

/// Replaces each `%name%` of `text` by each of its values; a percent sign behind a backslash is plain.
///
/// At most `limit` texts come out. A name without values is an error: the rule must be refused.
pub(super) fn expand(text: &str, placeholders: &Placeholders, limit: usize) -> Result<Vec<String>, String> {
    let mut texts = vec![String::new()];
    let mut rest = text;
    while let Some(at) = rest.find(['%', '\\']) {
        let (before, tail) = rest.split_at(at);
        append(&mut texts, before);
        let escaped = tail.strip_prefix("\\\\%").or_else(|| tail.strip_prefix("\\%"));
        if let Some(after) = escaped {
            append(&mut texts, "%");
            rest = after;
        } else if let Some((name, after)) = tail.strip_prefix('%').and_then(|inner| inner.split_once('%')) {
            let values = placeholders.get(name).filter(|values| !values.is_empty()).ok_or_else(|| {
                format!("placeholder %{name}% has no values; define it or leave the rule out")
            })?;
            if texts.len().saturating_mul(values.len()) > limit {
                return Err(format!("more than {limit} values; list fewer"));
            }
            let every =
                |text: &String| values.iter().map(|value| format!("{text}{value}")).collect::<Vec<_>>();
            texts = texts.iter().flat_map(every).collect();
            rest = after;
        } else {
            // A backslash before something else, or a percent sign without a second one.
            let (sign, after) = tail.split_at(1);
            append(&mut texts, sign);
            rest = after;
        }
    }
    append(&mut texts, rest);
    Ok(texts)
}

fn append(texts: &mut [String], part: &str) {
    for text in texts {
        text.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_take_the_place_of_names() {
        let known = Placeholders::from([("Servers".to_owned(), vec!["srv*".to_owned(), "dc1".to_owned()])]);
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(expand(text, &known, 4).unwrap(), expected, "{text}");
        };
        check("a-%Servers%", &["a-srv*", "a-dc1"]);
        check("%Servers%%Servers%", &["srv*srv*", "srv*dc1", "dc1srv*", "dc1dc1"]);
        check(r"\%Servers%", &["%Servers%"]);
        check(r"\\%plain%Servers%", &["%plainsrv*", "%plaindc1"]);
        check(r"100% \*", &[r"100% \*"]);
        assert!(expand("%Users%", &known, 4).unwrap_err().contains("%Users%"));
        assert!(expand("%Servers%%Servers%%Servers%", &known, 4).unwrap_err().contains("more than 4"));
    }

    proptest! {
        #[test]
        fn text_without_names_stays(text in "[a-z*? \\\\]{0,20}") {
            prop_assert_eq!(expand(&text, &Placeholders::new(), 1), Ok(vec![text]));
        }

        #[test]
        fn any_text_is_taken(text in "[a%\\\\đ]{0,20}") {
            let known = Placeholders::from([("a".to_owned(), vec!["b".to_owned()])]);
            drop(expand(&text, &known, 10));
        }
    }
}
