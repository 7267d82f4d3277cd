//! The daemon's record of a search, `search.json`.

use super::layout::LaunchDir;
use super::record::{self, Record};
use crate::domain::search_terms::Terms;
use crate::store::fs::error::StoreError;
use serde::{Deserialize, Serialize};

/// `search.json`; written by the daemon that holds the launch directory's lock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchRecord {
    pub version: u32,
    #[serde(flatten)]
    pub terms: Terms,
}

impl SearchRecord {
    /// The record of the search in this launch directory; none before a space was accepted there.
    ///
    /// # Errors
    /// When there is one that cannot be read.
    pub fn read(launch: &LaunchDir) -> Result<Option<Self>, StoreError> {
        record::read_optional(&launch.search_record())
    }

    /// The record of a search with these terms.
    pub const fn new(terms: Terms) -> Self {
        SearchRecord { version: 1, terms }
    }
}

impl Record for SearchRecord {
    const NEWEST: u32 = 1;

    fn version(&self) -> u32 {
        self.version
    }
}
