//! Whether a JPEG file ends before its picture does. The decoder fills what is missing with grey and says nothing.

const END_OF_IMAGE: u8 = 0xd9;

/// True if the file (which begins with a JPEG's first marker) ends before the end-of-image marker.
///
/// Segments are skipped by their length, so that the marker of an embedded preview is not taken for the
/// picture's; whatever follows the picture is not looked at (T.81, annex B).
pub(super) fn is_cut_off(jpeg: &[u8]) -> bool {
    let mut rest = jpeg.get(2..).unwrap_or_default();
    loop {
        let Some(marker) = next_marker(&mut rest) else { return true };
        match marker {
            END_OF_IMAGE => return false,
            // Markers without a segment: stuffed zeros and restarts inside a scan, and TEM.
            0x00 | 0x01 | 0xd0..=0xd7 => {}
            // A scan's coded data follows its header: `next_marker` passes over it.
            _ => {
                let Some(&[high, low]) = rest.first_chunk() else { return true };
                let length = usize::from(u16::from_be_bytes([high, low])).max(2);
                let Some(behind) = rest.get(length..) else { return true };
                rest = behind;
            }
        }
    }
}

/// The next marker's second byte; `rest` goes on behind it.
fn next_marker(rest: &mut &[u8]) -> Option<u8> {
    let mut at = rest.iter().position(|byte| *byte == 0xff)?;
    // Any number of fill bytes may stand before a marker.
    while *rest.get(at)? == 0xff {
        at += 1;
    }
    let marker = *rest.get(at)?;
    *rest = rest.get(at + 1..)?;
    Some(marker)
}
