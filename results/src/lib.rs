//! What came out: result tables, leaderboard, HTML report.
