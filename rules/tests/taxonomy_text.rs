//! Whatever stands in a taxonomy file, it is read or refused by name.

#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use std::path::Path;

use dongson_rules::Taxonomies;
use proptest::prelude::*;
use proptest::sample::Index;

/// Writes `text` as the only taxonomy and loads it; a refusal must name the file.
fn load(text: &str) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("strange.yml"), text).unwrap();
    if let Err(error) = Taxonomies::load(folder.path()) {
        assert!(error.to_string().contains("strange"), "{error}");
    }
}

fn shipped() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("content/taxonomy");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().filter(|path| path.is_file()).map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_text(text in "([a-z*'\": \n\\[\\]{},&|>-]|\\PC){0,120}") {
        load(&text);
    }

    #[test]
    fn changed_files(text in proptest::sample::select(shipped()), at: Index, cut in 0_usize..20, sign in "[a-z*'\": \n\\[{,&|>9-]{0,5}") {
        let mut signs: Vec<char> = text.chars().collect();
        let at = at.index(signs.len());
        let end = signs.len().min(at + cut);
        drop(signs.splice(at..end, sign.chars()));
        load(&signs.into_iter().collect::<String>());
    }
}
