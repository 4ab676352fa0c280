//! The shipped scripts: all compile, all samples hold, all speak Vietnamese.

use std::path::PathBuf;

use dongson_rules::LoadOptions;
use dongson_script::{load, samples};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../content/script")
}

#[test]
fn all_compile_and_hold() {
    let report = samples::test(&[folder()], &LoadOptions::default());
    println!("{} scripts, {} samples", report.files, report.samples);
    assert!(report.is_clean(), "{report:#?}");
    assert!(report.files >= 8);
}

#[test]
fn all_are_told_in_vietnamese() {
    let loaded = load(&[folder()], &LoadOptions::default());
    assert!(samples::check(&[folder()], &LoadOptions::default()).is_clean(), "{:#?}", loaded.report.refused);
    for script in loaded.scripts.all() {
        let head = loaded.report.rules.rule(script.rule).unwrap();
        let told = head.title_vi.is_some() && head.description_vi.is_some() && head.response_vi.is_some();
        assert!(told && !head.tags.is_empty() && !head.description.is_empty(), "{}", head.file);
        let samples = std::fs::read_to_string(PathBuf::from(&head.file).with_extension("test.yml")).unwrap();
        assert!(samples.contains("at: ["), "{}: say on which events it fires", head.file);
    }
}
