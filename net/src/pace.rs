//! How fast a stream is read: not faster than its peer needs.

use std::time::Duration;

use tokio::time::Instant;

/// What a stream may save up while it is silent, in seconds of its pace.
const SAVED: Duration = Duration::from_secs(1);

/// The pace of one stream. A new one has nothing saved up, so that nobody gains by opening streams.
pub(crate) struct Pace {
    interval: Duration,
    /// When the messages read so far were due at this pace, ahead by what may be saved up.
    due: Instant,
}

impl Pace {
    /// So many messages a second.
    pub(crate) fn new(per_second: usize, now: Instant) -> Self {
        let per_second = u32::try_from(per_second).unwrap_or(u32::MAX).max(1);
        Self {
            interval: Duration::from_secs(1) / per_second,
            due: now + SAVED,
        }
    }

    /// A message was read: how long to wait before the next one.
    pub(crate) fn take(&mut self, now: Instant) -> Duration {
        self.due = self.due.max(now) + self.interval;
        self.due
            .saturating_duration_since(now)
            .saturating_sub(SAVED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads as fast as allowed for so long; how many.
    fn read(pace: &mut Pace, mut now: Instant, lasts: Duration) -> u32 {
        let end = now + lasts;
        let mut count = 0;
        while now < end {
            now += pace.take(now);
            count += 1;
        }
        count
    }

    #[test]
    fn a_stream_keeps_its_pace_and_saves_up_a_second_of_it() {
        let start = Instant::now();
        let mut pace = Pace::new(100, start);
        let count = read(&mut pace, start, Duration::from_secs(10));
        assert!((990..=1_010).contains(&count), "{count} in ten seconds");
        let later = start + Duration::from_secs(60);
        let count = read(&mut pace, later, Duration::from_secs(1));
        assert!((190..=210).contains(&count), "{count} after a pause");
    }
}
