//! How the functions' binary is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Nothing to relocate when it starts: docs/adr/2026-11-26-linked-to-one-address.md.
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo::rustc-link-arg-bin=bootstrap=-no-pie");
    }
}
