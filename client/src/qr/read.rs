//! Reading QR codes.

use std::{
    io::Cursor,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use certchain_sidechain::package::text::{Carried, TextError};
use image::{DynamicImage, ImageFormat, ImageReader, Limits, LumaA, Pixel as _};

use crate::{atomic_file::read_limited, text_file::FileError};

/// Largest picture file that is read.
pub const MAX_FILE_BYTES: u64 = 32 * 1024 * 1024;
/// Longest side of a picture in pixels.
pub const MAX_SIDE: u32 = 16_384;
/// Most pixels of a picture: more than the cameras of telephones make by default.
pub const MAX_PIXELS: u64 = 64 * 1024 * 1024;
/// Most memory for decoding: a picture of most pixels with four channels, and the decoder's own.
const MAX_DECODER_BYTES: u64 = 6 * MAX_PIXELS;

const WHAT: &str = "picture";

/// Why nothing was read from a picture.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Neither PNG nor JPEG.
    #[error("the file is neither a PNG nor a JPEG picture; convert it")]
    Format,
    /// More pixels than are decoded.
    #[error("the picture has {width} x {height} pixels; make it smaller")]
    TooLarge {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
    },
    /// Damaged.
    #[error("the picture cannot be decoded; it is damaged")]
    Unreadable,
    /// No QR code was found.
    #[error("no QR code is in the picture; take it from nearer, in better light")]
    NoCode,
    /// A QR code was found, but not its text.
    #[error("the QR code in the picture cannot be read; take it from nearer, without glare")]
    Damaged,
    /// Several QR codes.
    #[error("{count} QR codes are in the picture; take one at a time")]
    Several {
        /// How many could be read.
        count: usize,
    },
    /// Not a presentation.
    #[error(transparent)]
    Text(#[from] TextError),
}

/// Reads the presentation in a picture's file.
///
/// # Errors
/// If it is no picture, holds no QR code or several, or another than a presentation's.
pub fn read_presentation(path: &Path) -> Result<Carried, ReadError> {
    Ok(Carried::from_text(&read_text(path)?)?)
}

/// Reads the text of the one QR code in a picture's file.
///
/// # Errors
/// If it is no picture, or holds no QR code or several.
pub fn read_text(path: &Path) -> Result<String, ReadError> {
    let bytes = read_limited(path, MAX_FILE_BYTES)
        .map_err(|error| FileError::reading(path, WHAT, error))?;
    read_picture(&bytes)
}

/// Reads the text of the one QR code in a PNG or JPEG picture.
///
/// # Errors
/// If it is no picture, or holds no QR code or several.
pub fn read_picture(bytes: &[u8]) -> Result<String, ReadError> {
    let format = match image::guess_format(bytes) {
        Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg)) => format,
        _ => return Err(ReadError::Format),
    };
    // Decoders of pictures are large and get bytes from anybody: whatever one of them may trip over
    // is an unreadable picture, not the end of the program.
    let read = catch_unwind(AssertUnwindSafe(|| {
        let picture = decode(bytes, format)?;
        find(&picture)
    }));
    read.unwrap_or(Err(ReadError::Unreadable))
}

/// A picture in grey, on white where it is transparent.
struct Grey {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

fn decode(bytes: &[u8], format: ImageFormat) -> Result<Grey, ReadError> {
    let reader = || ImageReader::with_format(Cursor::new(bytes), format);
    // The header only, before memory is spent on the rest.
    let (width, height) = reader()
        .into_dimensions()
        .map_err(|_| ReadError::Unreadable)?;
    let pixels = u64::from(width) * u64::from(height);
    if width > MAX_SIDE || height > MAX_SIDE || pixels > MAX_PIXELS {
        return Err(ReadError::TooLarge { width, height });
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    let mut reader = reader();
    reader.limits(limits);
    let picture = reader.decode().map_err(|_| ReadError::Unreadable)?;
    Ok(Grey {
        width: picture.width() as usize,
        height: picture.height() as usize,
        pixels: on_white(picture),
    })
}

fn on_white(picture: DynamicImage) -> Vec<u8> {
    if !picture.color().has_alpha() {
        return picture.into_luma8().into_raw();
    }
    let blend = |pixel: &LumaA<u8>| {
        let (value, alpha) = match *pixel.channels() {
            [value, alpha] => (u32::from(value), u32::from(alpha)),
            _ => (255, 255),
        };
        // At most 255.
        ((value * alpha + 255 * (255 - alpha)) / 255) as u8
    };
    picture.into_luma_alpha8().pixels().map(blend).collect()
}

fn find(picture: &Grey) -> Result<String, ReadError> {
    let grey = |x: usize, y: usize| {
        let at = y * picture.width + x;
        picture.pixels.get(at).copied().unwrap_or(255)
    };
    let mut prepared =
        rqrr::PreparedImage::prepare_from_greyscale(picture.width, picture.height, grey);
    let codes = prepared.detect_grids();
    let found = !codes.is_empty();
    let mut texts = codes.iter().filter_map(|code| code.decode().ok());
    match (texts.next(), texts.count()) {
        (Some((_, text)), 0) => Ok(text),
        (Some(_), others) => Err(ReadError::Several { count: others + 1 }),
        (None, _) if found => Err(ReadError::Damaged),
        (None, _) => Err(ReadError::NoCode),
    }
}
