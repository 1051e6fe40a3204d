//! One picture of many: rows of cells on a plain ground. Rows may hold several groups with a gap between.

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

const CELL: u32 = 128;
const GAP: u32 = 6;
const GROUP_GAP: u32 = 24;
const GROUND: Rgb<u8> = Rgb([244, 244, 240]);

/// Draws rows of groups of pictures, all in cells of one size, centred rows under each other.
pub(crate) fn draw(rows: &[Vec<&[RgbImage]>]) -> RgbImage {
    let width = rows.iter().map(|row| row_width(row)).max().unwrap_or(0) + 2 * GROUP_GAP;
    let height = rows.len() as u32 * (CELL + GROUP_GAP) + GROUP_GAP;
    let mut sheet = RgbImage::from_pixel(width, height, GROUND);
    let mut top = GROUP_GAP;
    for row in rows {
        let mut left = GROUP_GAP;
        for group in row {
            for picture in *group {
                let cell = imageops::resize(picture, CELL, CELL, FilterType::CatmullRom);
                imageops::replace(&mut sheet, &cell, i64::from(left), i64::from(top));
                left += CELL + GAP;
            }
            left = left - GAP + GROUP_GAP;
        }
        top += CELL + GROUP_GAP;
    }
    sheet
}

fn row_width(row: &[&[RgbImage]]) -> u32 {
    let cells: u32 = row.iter().map(|group| (group.len() as u32 * (CELL + GAP)).saturating_sub(GAP)).sum();
    cells + (row.len() as u32).saturating_sub(1) * GROUP_GAP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_lie_where_the_layout_says() {
        let red = RgbImage::from_pixel(8, 8, Rgb([200, 0, 0]));
        let blue = RgbImage::from_pixel(8, 8, Rgb([0, 0, 200]));
        let (reds, blues) = (vec![red; 2], vec![blue; 1]);
        let sheet = draw(&[vec![&reds, &blues], vec![&blues]]);
        assert_eq!(sheet.dimensions(), (3 * CELL + GAP + 3 * GROUP_GAP, 2 * CELL + 3 * GROUP_GAP));
        let at = |column: u32, row: u32| sheet.get_pixel(column, row).0;
        assert_eq!(at(GROUP_GAP + CELL + GAP + 1, GROUP_GAP + 1), [200, 0, 0]);
        assert_eq!(at(2 * GROUP_GAP + 2 * CELL + GAP + 1, GROUP_GAP + 1), [0, 0, 200]);
        assert_eq!(at(GROUP_GAP + 1, 2 * GROUP_GAP + CELL + 1), [0, 0, 200]);
        assert_eq!(at(1, 1), GROUND.0);
    }
}
