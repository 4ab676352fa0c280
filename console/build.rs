//! Builds again when the page was built again, because the page is embedded.

fn main() {
    println!("cargo:rerun-if-changed=web/dist");
}
