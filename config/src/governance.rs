//! How a network votes. It stands in genesis and changes by vote, never by a node's configuration.

use serde::{Deserialize, Serialize};

use crate::{
    error::ContentError,
    parameters::{DAY, rule_percent, within},
};

/// Shortest voting period; for tests, no office votes so fast.
const MIN_VOTING_PERIOD_MS: u64 = 1_000;
/// Longest voting period.
const MAX_VOTING_PERIOD_MS: u64 = 90 * DAY;
/// Most proposals of one validator that may be open at a time.
pub const MAX_OPEN_PROPOSALS: u64 = 64;

/// How main votes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Governance {
    /// Approvals that a change needs, in hundredths of the validators, rounded up: 51 to 100; 0: a
    /// quorum.
    pub threshold_percent: u64,
    /// How long a proposal can be voted on, in milliseconds of block time.
    pub voting_period_ms: u64,
    /// Most proposals of one validator that are open at a time.
    pub open_proposals: u64,
}

impl Default for Governance {
    fn default() -> Self {
        Self {
            threshold_percent: 0,
            voting_period_ms: 7 * DAY,
            open_proposals: 4,
        }
    }
}

impl Governance {
    pub(crate) fn check(&self) -> Result<(), ContentError> {
        rule_percent("governance.threshold_percent", self.threshold_percent)?;
        within(
            "governance.voting_period_ms",
            self.voting_period_ms,
            MIN_VOTING_PERIOD_MS,
            MAX_VOTING_PERIOD_MS,
        )?;
        within(
            "governance.open_proposals",
            self.open_proposals,
            1,
            MAX_OPEN_PROPOSALS,
        )
    }

    /// How many of so many validators must approve, `quorum` of whom decide blocks.
    pub const fn needed(&self, validators: usize, quorum: usize) -> usize {
        if self.threshold_percent == 0 {
            return quorum;
        }
        // At most 64 validators; a threshold that no check has seen still asks for somebody.
        let hundredths = (validators as u64).saturating_mul(self.threshold_percent);
        let needed = hundredths.div_ceil(100) as usize;
        if needed == 0 { 1 } else { needed }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn thresholds() {
        let of = |threshold_percent| Governance {
            threshold_percent,
            ..Governance::default()
        };
        for (percent, validators, quorum, needed) in [
            (0, 4, 3, 3),
            (0, 1, 1, 1),
            (51, 4, 3, 3),
            (51, 1, 1, 1),
            (67, 4, 3, 3),
            (75, 4, 3, 3),
            (76, 4, 3, 4),
            (100, 7, 5, 7),
            (51, 7, 5, 4),
        ] {
            assert_eq!(of(percent).needed(validators, quorum), needed, "{percent}");
        }
    }

    #[test]
    fn what_is_out_of_range_is_refused_by_name() {
        let good = Governance::default();
        assert_eq!(good.check(), Ok(()));
        let table: [(&str, Governance); 6] = [
            (
                "governance.threshold_percent",
                Governance {
                    threshold_percent: 50,
                    ..good.clone()
                },
            ),
            (
                "governance.threshold_percent",
                Governance {
                    threshold_percent: 101,
                    ..good.clone()
                },
            ),
            (
                "governance.voting_period_ms",
                Governance {
                    voting_period_ms: 999,
                    ..good.clone()
                },
            ),
            (
                "governance.voting_period_ms",
                Governance {
                    voting_period_ms: 91 * DAY,
                    ..good.clone()
                },
            ),
            (
                "governance.open_proposals",
                Governance {
                    open_proposals: 0,
                    ..good.clone()
                },
            ),
            (
                "governance.open_proposals",
                Governance {
                    open_proposals: 65,
                    ..good.clone()
                },
            ),
        ];
        for (key, wrong) in table {
            let error = wrong.check().unwrap_err();
            assert!(error.to_string().contains(key), "{error}");
        }
    }
}
