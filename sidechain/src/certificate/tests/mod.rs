//! The rules by table: what each kind refuses with which code, and what a life leaves behind.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod batch;
mod check;
mod drafts;
mod issue;
mod life;
mod model;
mod presentation;
mod wishes;
mod world;
