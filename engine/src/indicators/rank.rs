//! How many of the values before one are less than it.

/// Up to this window, comparing with each value is faster than a tree.
const DIRECT: usize = 1_000;

/// For each value from index `window` on, how many of the `window` values before it are less. `values` are finite.
pub(super) fn ranks(values: &[f64], window: usize) -> Vec<u32> {
    if window <= DIRECT { direct(values, window) } else { by_tree(values, window) }
}

fn direct(values: &[f64], window: usize) -> Vec<u32> {
    let current = values.iter().skip(window);
    let before = values.windows(window);
    current
        .zip(before)
        .map(|(current, before)| before.iter().map(|value| u32::from(value < current)).sum())
        .collect()
}

/// Fenwick 1994: a tree of counts over the places of the values in their sorted order. Counts are whole numbers, so it
/// does not matter in which order they came and went.
fn by_tree(values: &[f64], window: usize) -> Vec<u32> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    // -0 and 0 are equal values: both stand at the place of the first of them.
    let places: Vec<usize> =
        values.iter().map(|value| sorted.partition_point(|other| other < value)).collect();
    let mut counts = vec![0_u32; values.len() + 1];
    let add = |counts: &mut [u32], place: usize, up: bool| {
        let mut at = place + 1;
        while at < counts.len() {
            counts[at] = if up { counts[at] + 1 } else { counts[at] - 1 };
            at += at & at.wrapping_neg();
        }
    };
    let below = |counts: &[u32], place: usize| {
        let (mut at, mut sum) = (place, 0);
        while at > 0 {
            sum += counts[at];
            at &= at - 1;
        }
        sum
    };
    let mut less = Vec::with_capacity(values.len().saturating_sub(window));
    for (i, &place) in places.iter().enumerate() {
        if i >= window {
            less.push(below(&counts, place));
            add(&mut counts, places[i - window], false);
        }
        add(&mut counts, place, true);
    }
    less
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn both_ways_count_the_same(values in prop::collection::vec(-5_i32..5, 2..80), window in 1_usize..20) {
            // Few different values, and both zeros.
            let values: Vec<f64> = values.iter().map(|&v| if v == -5 { -0.0 } else { f64::from(v) }).collect();
            prop_assume!(window < values.len());
            prop_assert_eq!(direct(&values, window), by_tree(&values, window));
        }
    }
}
