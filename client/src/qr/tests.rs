#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{fs, path::Path};

use certchain_sidechain::package::text::{Carried, TextError};
use image::{
    ExtendedColorType, GrayImage, ImageEncoder as _, ImageFormat, Luma,
    codecs::{jpeg::JpegEncoder, png::PngEncoder},
};
use rxing::BarcodeFormat;

use super::*;
use crate::{certificate::tests::package, text_file::FileError};

/// The port of ZXing, which shares no code with ours, gets the bare pixels.
fn zxing(png: &[u8]) -> String {
    let grey = image::load_from_memory_with_format(png, ImageFormat::Png)
        .unwrap()
        .into_luma8();
    let (width, height) = grey.dimensions();
    rxing::helpers::detect_in_luma(grey.into_raw(), width, height, Some(BarcodeFormat::QR_CODE))
        .unwrap()
        .getText()
        .to_owned()
}

fn grey(png: &[u8]) -> GrayImage {
    image::load_from_memory(png).unwrap().into_luma8()
}

fn to_png(picture: &GrayImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(
            picture.as_raw(),
            picture.width(),
            picture.height(),
            ExtendedColorType::L8,
        )
        .unwrap();
    bytes
}

fn presentation() -> Carried {
    Carried::Clear(Box::new(package()))
}

/// A text in the alphabet of presentations.
fn text(length: usize) -> String {
    let alphabet = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
    let body = (4..length).map(|index| char::from(alphabet[index * 7 % 45]));
    "CC1:".chars().chain(body).collect()
}

#[test]
fn a_foreign_decoder_reads_the_presentation_that_we_wrote() {
    let text = presentation().to_text();
    let png = QrCode::of(&presentation()).unwrap().png().unwrap();
    assert_eq!(zxing(&png), *text);
    assert_eq!(Carried::from_text(&zxing(&png)), Ok(presentation()));
    assert_eq!(read_picture(&png).unwrap(), *text);
}

#[test]
fn all_sizes_are_read_by_both_decoders() {
    // From the least of ours to the most that alphanumeric mode holds.
    for length in [24, 300, 900, 1800, 3000, 3391, 4000, 4296] {
        let text = text(length);
        let png = QrCode::new(&text).unwrap().png().unwrap();
        assert_eq!(zxing(&png), text, "{length} characters");
        assert_eq!(read_picture(&png).unwrap(), text, "{length} characters");
    }
    assert_eq!(
        QrCode::new(&text(4297)).unwrap_err(),
        RenderError::TooLong { actual: 4297 }
    );
}

#[test]
fn photographs_are_read() {
    let text = presentation().to_text();
    let code = grey(&QrCode::of(&presentation()).unwrap().png().unwrap());
    // Turned, on a grey desk, a bit dim, and compressed.
    let turned = image::imageops::rotate90(&code);
    let mut desk = GrayImage::from_pixel(turned.width() + 300, turned.height() + 200, Luma([120]));
    for (x, y, pixel) in turned.enumerate_pixels() {
        let Luma([value]) = *pixel;
        desk.put_pixel(x + 170, y + 90, Luma([40 + value / 2]));
    }
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 70)
        .write_image(
            desk.as_raw(),
            desk.width(),
            desk.height(),
            ExtendedColorType::L8,
        )
        .unwrap();
    assert_eq!(read_picture(&jpeg).unwrap(), *text);
    // Black on nothing: a transparent ground is white.
    let mut clear = Vec::new();
    let pixels: Vec<u8> = code
        .pixels()
        .flat_map(|pixel| [0, 255 - pixel.0[0]])
        .collect();
    PngEncoder::new(&mut clear)
        .write_image(&pixels, code.width(), code.height(), ExtendedColorType::La8)
        .unwrap();
    assert_eq!(read_picture(&clear).unwrap(), *text);
}

#[test]
fn svg_and_terminal_show_the_same_modules() {
    let code = QrCode::of(&presentation()).unwrap();
    let side = code.modules();
    let reference = grey(&code.png().unwrap());
    let module = reference.width() as usize / (side + 8);
    let dark = |column: usize, row: usize| {
        let centre = |at: usize| (at * module + module / 2) as u32;
        reference.get_pixel(centre(column), centre(row)).0[0] == 0
    };
    for dark_background in [false, true] {
        let text = code.terminal(dark_background);
        let mut seen = 0;
        for (line, row) in text.lines().zip((0..).step_by(2)) {
            for (column, character) in line.chars().enumerate() {
                let (upper, lower) = match character {
                    '█' => (true, true),
                    '▀' => (true, false),
                    '▄' => (false, true),
                    ' ' => (false, false),
                    other => panic!("{other}"),
                };
                assert_eq!(upper != dark_background, dark(column, row));
                if row + 1 < side + 8 {
                    assert_eq!(lower != dark_background, dark(column, row + 1));
                }
                seen += 1;
            }
        }
        assert_eq!(seen, (side + 8) * (side + 8).div_ceil(2));
    }
    // Each dark module of the SVG is a unit step in its path.
    let svg = code.svg();
    assert!(svg.starts_with("<?xml"), "{}", &svg[..40]);
    assert_eq!(
        read_picture(&to_png(&draw(&svg, side + 8))).unwrap(),
        *presentation().to_text()
    );
}

/// Draws the squares of our SVG (`Mx yhwvhH..z`), four pixels a module.
fn draw(svg: &str, modules: usize) -> GrayImage {
    let size: u32 = svg
        .split("width=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(size as usize % modules, 0);
    let mut picture = GrayImage::from_pixel(size, size, Luma([255]));
    let path = svg
        .split(" d=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    for square in path.split('M').skip(1) {
        let (place, rest) = square.split_once('h').unwrap();
        let (x, y) = place.split_once([' ', ',']).unwrap();
        let (x, y): (u32, u32) = (x.parse().unwrap(), y.parse().unwrap());
        let (width, rest) = rest.split_once('v').unwrap();
        let height: u32 = rest.split(['H', 'h']).next().unwrap().parse().unwrap();
        for row in y..y + height {
            for column in x..x + width.parse::<u32>().unwrap() {
                picture.put_pixel(column, row, Luma([0]));
            }
        }
    }
    picture
}

#[test]
fn each_bad_picture_has_its_error() {
    let good = QrCode::of(&presentation()).unwrap().png().unwrap();
    assert!(matches!(read_picture(b""), Err(ReadError::Format)));
    assert!(matches!(
        read_picture(b"<svg></svg>"),
        Err(ReadError::Format)
    ));
    assert!(matches!(
        read_picture(b"GIF89a..........."),
        Err(ReadError::Format)
    ));
    assert!(matches!(
        read_picture(&good[..good.len() / 2]),
        Err(ReadError::Unreadable)
    ));
    let white = GrayImage::from_pixel(300, 300, Luma([255]));
    assert!(matches!(
        read_picture(&to_png(&white)),
        Err(ReadError::NoCode)
    ));
    // Most of the code is painted over; its corners are still there.
    let mut painted = grey(&good);
    let (width, height) = painted.dimensions();
    for y in height * 2 / 5..height * 3 / 5 {
        for x in 0..width {
            painted.put_pixel(x, y, Luma([if (x / 9 + y / 7) % 2 == 0 { 0 } else { 255 }]));
        }
    }
    assert!(matches!(
        read_picture(&to_png(&painted)),
        Err(ReadError::Damaged)
    ));
    let code = grey(&good);
    let mut two = GrayImage::from_pixel(width * 2, height, Luma([255]));
    image::imageops::replace(&mut two, &code, 0, 0);
    image::imageops::replace(&mut two, &code, i64::from(width), 0);
    assert!(matches!(
        read_picture(&to_png(&two)),
        Err(ReadError::Several { count: 2 })
    ));
}

#[test]
fn bombs_are_refused_before_they_are_decoded() {
    // A PNG that says it has 2^31 - 1 pixels a side, and nothing behind it.
    let mut bomb = to_png(&GrayImage::from_pixel(1, 1, Luma([0])));
    for (offset, side) in [(16, 60_000u32), (20, 60_000)] {
        bomb[offset..offset + 4].copy_from_slice(&side.to_be_bytes());
    }
    let crc = crc32(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&crc.to_be_bytes());
    assert!(matches!(
        read_picture(&bomb),
        Err(ReadError::TooLarge {
            width: 60_000,
            height: 60_000
        })
    ));
    // 14,000 x 14,000 fits each side, but not together.
    for offset in [16, 20] {
        bomb[offset..offset + 4].copy_from_slice(&14_000u32.to_be_bytes());
    }
    let crc = crc32(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&crc.to_be_bytes());
    assert!(matches!(
        read_picture(&bomb),
        Err(ReadError::TooLarge { .. })
    ));
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |mut crc, byte| {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
        crc
    })
}

#[test]
fn files_come_back_and_foreign_codes_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let code = QrCode::of(&presentation()).unwrap();
    code.write_file(&path("show.png")).unwrap();
    assert_eq!(
        read_presentation(&path("show.png")).unwrap(),
        presentation()
    );
    assert!(matches!(
        code.write_file(&path("show.png")),
        Err(WriteError::File(FileError::Exists { .. }))
    ));
    code.write_file(&path("show.SVG")).unwrap();
    assert!(matches!(
        read_presentation(&path("show.SVG")),
        Err(ReadError::Format)
    ));
    assert!(matches!(
        code.write_file(Path::new("show.bmp")),
        Err(WriteError::Ending)
    ));
    assert!(matches!(
        read_presentation(&path("none.png")),
        Err(ReadError::File(FileError::Missing { .. }))
    ));
    let foreign = QrCode::new("https://example.org/").unwrap();
    foreign.write_file(&path("foreign.png")).unwrap();
    assert!(matches!(
        read_presentation(&path("foreign.png")),
        Err(ReadError::Text(TextError::Foreign))
    ));
    let large = fs::File::create(path("large.png")).unwrap();
    large.set_len(MAX_FILE_BYTES + 1).unwrap();
    assert!(matches!(
        read_presentation(&path("large.png")),
        Err(ReadError::File(FileError::TooLarge { .. }))
    ));
}

/// No bytes behind a picture's first ones end the program.
#[test]
fn damaged_pictures_never_panic() {
    let good = QrCode::new(&text(100)).unwrap().png().unwrap();
    let mut state = 1u64;
    for _ in 0..200 {
        let mut bad = good.clone();
        for _ in 0..3 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let index = 8 + (state >> 33) as usize % (bad.len() - 8);
            bad[index] = state as u8;
        }
        let _ = read_picture(&bad);
    }
}
