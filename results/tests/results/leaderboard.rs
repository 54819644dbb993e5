//! Ranking rules and the terminal's table.

use blockgrid_results::leaderboard::{leaderboard_json, leaderboard_text, median_text};
use blockgrid_results::{Goal, Objective, rank, rank_by_median};
use proptest::prelude::*;

use crate::fixture::table;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

fn grid(n: usize) -> Vec<(f64, f64)> {
    (0..n).map(|i| (i as f64, 50.0)).collect()
}

#[test]
fn undefined_and_infinite_come_last_and_ties_keep_grid_order() {
    let values = [1.0, NAN, 2.0, INF, 1.0, -INF, -3.0];
    let trials = table(&["A"], &grid(7), |_, t| (values[t], 10.0));
    let max = Objective::new("sharpe", None, None).unwrap();
    assert_eq!(max.direction, Goal::Max);
    assert_eq!(rank(&trials, &max), [2, 0, 4, 6, 1, 3, 5]);
    let min = Objective::new("sharpe", Some(Goal::Min), None).unwrap();
    assert_eq!(rank(&trials, &min), [6, 0, 4, 2, 1, 3, 5]);
}

#[test]
fn few_trades_rank_between_the_eligible_and_the_undefined() {
    let values = [(9.0, 3.0), (1.0, 30.0), (NAN, 30.0), (2.0, 29.0), (0.5, 31.0), (8.0, NAN)];
    let trials = table(&["A"], &grid(6), |_, t| values[t]);
    let objective = Objective::new("sharpe", None, Some(30)).unwrap();
    assert_eq!(rank(&trials, &objective), [1, 4, 0, 5, 3, 2]);
}

#[test]
fn a_metric_knows_its_own_direction() {
    assert_eq!(Objective::new("volatility", None, None).unwrap().direction, Goal::Min);
    assert_eq!(Objective::new("exposure", None, None).unwrap().direction, Goal::Max);
    assert!(Objective::new("sharp", None, None).unwrap_err().to_string().contains("sharpe"));
}

#[test]
fn the_median_over_symbols_counts_a_null_as_worst() {
    // Sets 0..4 on three symbols.
    let values = [[1.0, 5.0, NAN, 2.0], [2.0, 6.0, NAN, 2.0], [3.0, NAN, 9.0, 2.0]];
    let trials = table(&["A", "B", "C"], &grid(4), |s, t| (values[s][t], 10.0));
    let objective = Objective::new("sharpe", None, None).unwrap();
    let sets = rank_by_median(&trials, &objective);
    let order: Vec<f64> = sets.iter().map(|set| set.parameters[0].1).collect();
    assert_eq!(order, [1.0, 0.0, 3.0, 2.0], "5, 2, 2 (a tie in grid order), undefined");
    assert_eq!(
        sets.iter().map(|set| set.median).collect::<Vec<_>>(),
        [Some(5.0), Some(2.0), Some(2.0), None]
    );
    assert_eq!(sets.iter().map(|set| set.worst).collect::<Vec<_>>(), [None, Some(1.0), Some(2.0), None]);
    assert_eq!(sets[0].rows, [1, 5, 9]);

    let low = Objective::new("sharpe", Some(Goal::Min), None).unwrap();
    assert_eq!(rank_by_median(&trials, &low)[2].median, Some(6.0), "null is worst when low is good, too");
}

#[test]
fn an_even_number_of_symbols_takes_the_mean_of_the_middle() {
    let values = [[1.0, 4.0], [2.0, NAN]];
    let trials = table(&["A", "B"], &grid(2), |s, t| (values[s][t], 10.0));
    let sets = rank_by_median(&trials, &Objective::new("sharpe", None, None).unwrap());
    assert_eq!(sets.iter().map(|set| set.median).collect::<Vec<_>>(), [Some(1.5), None]);
}

#[test]
fn the_terminal_table_fits() {
    let trials = table(&["SYN-A", "a\u{1b}[31mb"], &grid(3), |s, t| (s as f64 + t as f64 / 3.0, 1234.0));
    let objective = Objective::new("sharpe", None, None).unwrap();
    let ranked = rank(&trials, &objective);
    let wide = leaderboard_text(&trials, &objective, &ranked, 5, 200);
    assert_eq!(wide.lines().count(), 7, "{wide}");
    assert!(wide.contains("1,234") && wide.contains("16.67%") && wide.contains("buy_and_hold"), "{wide}");
    assert!(!wide.contains('\u{1b}'), "escape sequences of names stay out");
    let narrow = leaderboard_text(&trials, &objective, &ranked, 5, 62);
    assert!(narrow.lines().all(|line| line.chars().count() <= 62), "{narrow}");
    assert!(narrow.contains("sharpe") && narrow.contains("slow"), "{narrow}");
    let median = median_text(&rank_by_median(&trials, &objective), &objective, 2, 80);
    assert!(median.contains("median sharpe") && median.lines().count() == 4, "{median}");
    assert_eq!(leaderboard_text(&trials, &objective, &[], 5, 80).lines().count(), 2);
}

#[test]
fn json_rows_have_nulls_and_whole_counts() {
    let trials = table(&["A"], &grid(2), |_, t| ([0.5, NAN][t], 12.0));
    let rows = leaderboard_json(&trials, &[0, 1], 9);
    assert_eq!(rows[0]["rank"], 1);
    assert_eq!(rows[0]["metrics"]["sharpe"], 0.5);
    assert_eq!(rows[0]["metrics"]["trades"].to_string(), "12");
    assert_eq!(rows[0]["first_bar"], "2024-01-01T00:00:00Z");
    assert_eq!(rows[0]["parameters"]["slow"].to_string(), "50");
    assert!(rows[1]["metrics"]["sharpe"].is_null() && rows[1]["first_bar"].is_null());
    assert!(rows[0]["metrics"]["max_drawdown"].is_null());
}

proptest! {
    #[test]
    fn ranking_is_a_permutation_in_order(values in prop::collection::vec((any::<f64>(), 0u8..40), 0..50)) {
        let trials = table(&["A"], &grid(values.len()), |_, t| (values[t].0, f64::from(values[t].1)));
        let objective = Objective::new("sharpe", None, Some(20)).unwrap();
        let ranked = rank(&trials, &objective);
        let mut sorted = ranked.clone();
        sorted.sort_unstable();
        prop_assert_eq!(sorted, (0..values.len()).collect::<Vec<_>>());
        let key = |row: usize| match trials.metric(row, "sharpe") {
            None => (2, 0.0, row),
            Some(v) => (u8::from(values[row].1 < 20), -v, row),
        };
        prop_assert!(ranked.windows(2).all(|pair| key(pair[0]) < key(pair[1])));
    }
}
