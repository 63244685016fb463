"""What make builds with: a Rust toolchain where there is none, and wheels."""
