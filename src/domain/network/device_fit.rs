//! Whether a job fits the device whose slot it gets, and what becomes of a draw that does not.

use super::footprint::Footprint;
use crate::domain::text::units::memory;

/// How often a draw that does not fit is repeated, at most. If all of these do not fit, hardly any draw of the space does.
pub const MOST_REDRAWS: u32 = 100;

/// What becomes of a draw that does not fit its device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnTooLarge {
    /// It is recorded as failed, of class `too_large`, and the search goes on with the next.
    #[default]
    Skip,
    /// It is drawn again, which favours small networks.
    Redraw,
}

impl OnTooLarge {
    /// As the configuration spells them.
    pub const WORDS: [(&'static str, OnTooLarge); 2] = [("skip", OnTooLarge::Skip), ("redraw", OnTooLarge::Redraw)];
}

/// What follows for one draw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    Fits,
    Redraw,
    /// It is not launched, for this reason.
    TooLarge(String),
}

/// Judges a draw that was made again `redraws` times, for a `device` that has `room` bytes; None if nobody knows how many.
pub fn judge(footprint: &Footprint, room: Option<u64>, device: &str, on_too_large: OnTooLarge, redraws: u32) -> Fit {
    match (too_large(footprint, room, device), on_too_large) {
        (None, _) => Fit::Fits,
        (Some(_), OnTooLarge::Redraw) if redraws < MOST_REDRAWS => Fit::Redraw,
        (Some(sentence), OnTooLarge::Redraw) => Fit::TooLarge(format!("{sentence}; none of {redraws} redraws fitted")),
        (Some(sentence), OnTooLarge::Skip) => Fit::TooLarge(sentence),
    }
}

/// Why the job cannot train on the device, or None if it can, or if nobody knows what the device has.
pub fn too_large(footprint: &Footprint, room: Option<u64>, device: &str) -> Option<String> {
    let needs = footprint.on(device);
    let room = room.filter(|&room| needs > room)?;
    let (needs, has) = (memory(needs), memory(room));
    Some(format!(
        "training needs about {needs}, and {device} has {has} for it; lower batch_size, channels_limit or first_conv_width"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1_000_000_000;

    fn needs(peak_bytes: u64) -> Footprint {
        Footprint { parameters: 1, peak_bytes, kept_bytes: 0, image_bytes: 0 }
    }

    #[test]
    fn a_draws_fate_depends_on_need_room_policy_and_earlier_redraws() {
        use OnTooLarge::{Redraw, Skip};
        enum Wanted {
            Fits,
            Again,
            Refused,
        }
        use Wanted::{Again, Fits, Refused};
        let table = [
            (2 * GB, Some(3 * GB), Skip, 0, Fits),
            (3 * GB, Some(3 * GB), Skip, 0, Fits),
            (3 * GB + 1, Some(3 * GB), Skip, 0, Refused),
            (3 * GB + 1, Some(3 * GB), Redraw, 0, Again),
            (3 * GB + 1, Some(3 * GB), Redraw, MOST_REDRAWS - 1, Again),
            (3 * GB + 1, Some(3 * GB), Redraw, MOST_REDRAWS, Refused),
            (2 * GB, Some(3 * GB), Redraw, 7, Fits),
            (u64::MAX, Some(80 * GB), Skip, 0, Refused),
            (u64::MAX, None, Skip, 0, Fits),
        ];
        for (need, room, policy, redraws, wanted) in table {
            let fit = judge(&needs(need), room, "cpu", policy, redraws);
            let right = match wanted {
                Fits => fit == Fit::Fits,
                Again => fit == Fit::Redraw,
                Refused => matches!(fit, Fit::TooLarge(_)),
            };
            assert!(right, "{need} {room:?} {policy:?} {redraws}: {fit:?}");
        }
    }

    #[test]
    fn what_lies_in_the_machines_memory_counts_where_the_device_is_the_cpu() {
        let footprint = Footprint { kept_bytes: GB, ..needs(2 * GB) };
        let told = |device, room| too_large(&footprint, Some(room), device).is_some();
        assert_eq!([told("cpu", 3 * GB), told("cpu", 3 * GB - 1)], [false, true]);
        assert_eq!([told("GPU-1a", 2 * GB), told("GPU-1a", 2 * GB - 1)], [false, true]);
    }

    #[test]
    fn the_sentence_names_both_numbers_the_device_and_a_cure() {
        let sentence = too_large(&needs(46_600_000_000), Some(980_500_000), "GPU-1a").expect("too large");
        for word in ["46.60 GB", "981 MB", "GPU-1a", "batch_size"] {
            assert!(sentence.contains(word), "{word}: {sentence}");
        }
        let again = judge(&needs(2 * GB), Some(GB), "cpu", OnTooLarge::Redraw, MOST_REDRAWS);
        assert!(matches!(&again, Fit::TooLarge(sentence) if sentence.contains("none of 100 redraws")), "{again:?}");
    }
}
