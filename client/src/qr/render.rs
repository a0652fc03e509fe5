//! Writing QR codes.

use std::path::Path;

use certchain_sidechain::package::text::Carried;
use image::{ExtendedColorType, ImageEncoder as _, codecs::png::PngEncoder};
use qrcode::{
    Color, EcLevel,
    render::{svg, unicode::Dense1x2},
};

use crate::{
    atomic_file::{self, Access},
    text_file::FileError,
};

/// White modules around a code, without which scanners do not find it.
const QUIET_ZONE: usize = 4;
/// Pictures are about this wide: enough for the cameras and screens of telephones.
const TARGET_PIXELS: usize = 900;
/// Least pixels of a module; below, a print cannot be read.
const LEAST_MODULE: usize = 4;
/// Most pixels of a module.
const MOST_MODULE: usize = 12;

/// Why there is no QR code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The text is longer than any QR code holds.
    #[error(
        "{actual} characters do not fit into a QR code; show fewer fields, or pass it as a file"
    )]
    TooLong {
        /// Characters of the text.
        actual: usize,
    },
    /// The encoder failed, which it never does for what it is given here.
    #[error("the picture cannot be encoded; report it")]
    Encoder,
}

/// A QR code. What it shows may be personal data.
pub struct QrCode {
    code: qrcode::QrCode,
}

impl std::fmt::Debug for QrCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "QrCode({} modules wide, not shown)", self.code.width())
    }
}

impl QrCode {
    /// Makes a code of a text: with correction of 15 % of errors if it fits so, else of 7 %.
    ///
    /// # Errors
    /// If the text is too long.
    pub fn new(text: &str) -> Result<Self, RenderError> {
        let with = |level| qrcode::QrCode::with_error_correction_level(text, level);
        let code = with(EcLevel::M)
            .or_else(|_| with(EcLevel::L))
            .map_err(|_| RenderError::TooLong { actual: text.len() })?;
        Ok(Self { code })
    }

    /// Makes a code of a presentation.
    ///
    /// # Errors
    /// If it is too long.
    pub fn of(presentation: &Carried) -> Result<Self, RenderError> {
        Self::new(&presentation.to_text())
    }

    /// Modules of a side, without the quiet zone.
    pub fn modules(&self) -> usize {
        self.code.width()
    }

    /// As a PNG picture in black and white.
    ///
    /// # Errors
    /// If the encoder fails.
    pub fn png(&self) -> Result<Vec<u8>, RenderError> {
        let modules = self.code.width();
        let whole = modules + 2 * QUIET_ZONE;
        let module = (TARGET_PIXELS / whole).clamp(LEAST_MODULE, MOST_MODULE);
        let side = whole * module;
        let colours = self.code.to_colors();
        let mut pixels = Vec::with_capacity(side * side);
        for y in 0..side {
            for x in 0..side {
                let dark = |at: usize| (at / module).checked_sub(QUIET_ZONE);
                let colour = match (dark(x), dark(y)) {
                    (Some(column), Some(row)) if column < modules => {
                        colours.get(row * modules + column)
                    }
                    _ => None,
                };
                pixels.push(match colour {
                    Some(Color::Dark) => 0,
                    Some(Color::Light) | None => 255,
                });
            }
        }
        // At most 185 modules of 4 pixels, or TARGET_PIXELS.
        let side = side as u32;
        let mut png = Vec::new();
        PngEncoder::new(&mut png)
            .write_image(&pixels, side, side, ExtendedColorType::L8)
            .map_err(|_| RenderError::Encoder)?;
        Ok(png)
    }

    /// As an SVG picture, which stays sharp at every size.
    pub fn svg(&self) -> String {
        let whole = self.code.width() + 2 * QUIET_ZONE;
        let side = u32::try_from(whole * LEAST_MODULE).unwrap_or(u32::MAX);
        self.code
            .render::<svg::Color<'_>>()
            .min_dimensions(side, side)
            .build()
    }

    /// As text for a terminal, two modules high each line. `dark_background` says whether the
    /// terminal writes bright letters on a dark ground.
    pub fn terminal(&self, dark_background: bool) -> String {
        let (dark, light) = if dark_background {
            (Dense1x2::Light, Dense1x2::Dark)
        } else {
            (Dense1x2::Dark, Dense1x2::Light)
        };
        self.code
            .render::<Dense1x2>()
            .dark_color(dark)
            .light_color(light)
            .build()
    }

    /// Writes a picture, PNG or SVG as the file's ending says, which must not exist yet. Only its
    /// owner can read it.
    ///
    /// # Errors
    /// If it exists or cannot be written, or the ending is another.
    pub fn write_file(&self, path: &Path) -> Result<(), WriteError> {
        let ending = path.extension().and_then(|ending| ending.to_str());
        let bytes = match ending.map(str::to_ascii_lowercase).as_deref() {
            Some("png") => self.png()?,
            Some("svg") => self.svg().into_bytes(),
            _ => return Err(WriteError::Ending),
        };
        atomic_file::create(path, &bytes, Access::OwnerOnly)
            .map_err(|error| FileError::writing(path, error).into())
    }
}

/// Why a picture is not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Neither PNG nor SVG.
    #[error("the file's name must end in .png or .svg")]
    Ending,
    /// No picture.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}
