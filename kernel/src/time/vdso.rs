//! The vDSO page.

/// The wall clock was set.
pub fn update() {}
