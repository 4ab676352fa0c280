//! Builds again when the page was built again, because the page is embedded.

#![expect(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]

fn main() {
    println!("cargo:rerun-if-changed=web/dist");
}
