//! QR codes: written as PNG, SVG and text for a terminal, read back from PNG and JPEG pictures.
//!
//! A picture comes from anybody. Its size is looked at before it is decoded, it is decoded within a
//! limit of memory, and what is found in it is text of unknown origin until
//! [`certchain_sidechain::package::text`] has read it.

mod read;
mod render;

#[cfg(test)]
mod tests;

pub use read::{
    MAX_FILE_BYTES, MAX_PIXELS, MAX_SIDE, ReadError, read_picture, read_presentation, read_text,
};
pub use render::{QrCode, RenderError, WriteError};
