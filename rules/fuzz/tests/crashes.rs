//! What fuzzing found once is run again, and a short run with a fixed seed finds nothing.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use dongson_rules_fuzz::Seeds;
use dongson_rules_fuzz::target::targets;

#[test]
fn what_was_found_is_mended() {
    let seeds = Arc::new(Seeds::load());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crashes");
    let mut count = 0;
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some((target, _)) = name.split_once('-') else { continue };
        let input = fs::read_to_string(&path).unwrap();
        for mut target in targets(target, &seeds) {
            target.run(&input).unwrap_or_else(|what| panic!("{name}: {what}"));
            count += 1;
        }
    }
    println!("{count} kept findings ran again");
}

#[test]
fn a_short_run_finds_nothing() {
    let seeds = Arc::new(Seeds::load());
    assert!(seeds.rules.len() > 50 && seeds.events.len() > 100, "the seeds are there");
    let mut rng = fastrand::Rng::with_seed(7);
    for mut target in targets("all", &seeds) {
        for _ in 0..1_500 {
            let input = target.next(&mut rng);
            target.run(&input).unwrap_or_else(|what| panic!("{}: {what}\n{input}", target.name()));
        }
        println!("{}: 1500 executions", target.name());
    }
}
