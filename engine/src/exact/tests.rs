//! Sums against exact integers, and from different starts.

use proptest::prelude::*;

use super::*;

/// Decimals of up to `places` places, as the nearest f64, with their ticks.
fn decimals(places: u32, ticks: &[i64]) -> Vec<f64> {
    ticks.iter().map(|&t| t as f64 / 10_f64.powi(places as i32)).collect()
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|v| if v.is_nan() { u64::MAX } else { v.to_bits() }).collect()
}

/// Every column an [`ExactSums`] gives.
fn columns(sums: &ExactSums, window: usize) -> Vec<Vec<f64>> {
    vec![
        sums.means(window),
        sums.window_sums(window),
        sums.weighted_means(window),
        sums.deviations(window),
        sums.variances(window),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn decimals_give_the_same_bits_wherever_the_series_starts(
        places in 0_u32..=10,
        ticks in prop::collection::vec(-200_000_000_000_i64..200_000_000_000, 2..60),
        zeros in 0_u32..=4,
        cut in 0.0_f64..1.0,
        window in 1_usize..20,
    ) {
        // The tail has fewer places than the head, so its own tick is coarser.
        let cut = (cut * ticks.len() as f64) as usize;
        let coarse = 10_i64.pow(zeros);
        let ticks: Vec<i64> =
            ticks.iter().enumerate().map(|(i, t)| if i < cut { *t } else { t / coarse * coarse }).collect();
        let values = decimals(places, &ticks);
        let (full, tail) = (ExactSums::new(&values), ExactSums::new(&values[cut..]));
        prop_assert!(full.places().is_some_and(|p| p <= places));
        for (full, tail) in columns(&full, window).iter().zip(columns(&tail, window)) {
            let from = (cut + window - 1).min(values.len());
            prop_assert_eq!(bits(&full[from..]), bits(&tail[from - cut..]));
        }
        for i in 0..values.len() {
            prop_assert_eq!(bits(&[full.sum(i, window)]), bits(&[full.window_sums(window)[i]]));
        }
    }

    #[test]
    fn decimals_agree_with_integers(
        places in 0_u32..=10,
        ticks in prop::collection::vec(-100_000_000_000_000_i64..100_000_000_000_000, 1..50),
        window in 1_usize..60,
    ) {
        let values = decimals(places, &ticks);
        let sums = ExactSums::new(&values);
        let (means, weighted) = (sums.means(window), sums.weighted_means(window));
        let deviations = sums.deviations(window);
        let scale = 10_u128.pow(places);
        for i in 0..values.len() {
            if i + 1 < window {
                prop_assert!(means[i].is_nan() && weighted[i].is_nan() && deviations[i].is_nan());
                continue;
            }
            let part: Vec<i128> = ticks[i + 1 - window..=i].iter().map(|&t| i128::from(t)).collect();
            let n = window as i128;
            let sum: i128 = part.iter().sum();
            nearest(means[i], sum, window as u128 * scale)?;
            let heavy: i128 = part.iter().zip(1..).map(|(t, k)| t * k).sum();
            nearest(weighted[i], heavy, (n * (n + 1) / 2) as u128 * scale)?;
            let spread = n * part.iter().map(|t| t * t).sum::<i128>() - sum * sum;
            let expected = (spread as f64).sqrt() / (n as f64 * scale as f64);
            prop_assert!((deviations[i] - expected).abs() <= 1e-15 * expected);
        }
    }

    #[test]
    fn equal_values_have_themselves_as_mean_and_no_deviation(
        head in prop::collection::vec(-1e9_f64..1e9, 0..20),
        value in -1e6_f64..1e6,
        window in 1_usize..12,
    ) {
        for value in [value, (value * 100.0).round() / 100.0] {
            let mut values = head.clone();
            values.extend(std::iter::repeat_n(value, window));
            let sums = ExactSums::new(&values);
            let last = values.len() - 1;
            prop_assert_eq!(sums.means(window)[last], value);
            prop_assert_eq!(sums.weighted_means(window)[last], value);
            prop_assert_eq!(sums.deviations(window)[last], 0.0);
            prop_assert_eq!(sums.variances(window)[last], 0.0);
        }
    }

    #[test]
    fn reals_are_summed_to_the_last_bit_or_so(
        values in prop::collection::vec(prop_oneof![-1e3_f64..1e3, -1e-3_f64..1e-3], 1..60),
        window in 1_usize..40,
    ) {
        let sums = ExactSums::new(&values);
        let tail_start = values.len() / 2;
        let tail = ExactSums::new(&values[tail_start..]);
        let means = sums.means(window);
        for i in window - 1..values.len().max(window - 1) {
            // Exact in i128: every value is a multiple of 2^-90 below 2^10 after scaling, or it is skipped.
            let part = &values[i + 1 - window..=i];
            let Some(exact) = part.iter().map(|&v| scaled(v)).sum::<Option<i128>>() else { continue };
            let expected = exact as f64 / 2_f64.powi(80) / window as f64;
            let size: f64 = part.iter().map(|v| v.abs()).sum::<f64>() / window as f64;
            prop_assert!((means[i] - expected).abs() <= 4e-16 * expected.abs() + 1e-22 * size);
            if i + 1 >= tail_start + window {
                let again = tail.means(window)[i - tail_start];
                prop_assert!((means[i] - again).abs() <= 3e-16 * again.abs() + 1e-22 * size);
            }
        }
    }

    #[test]
    fn what_is_not_finite_spoils_its_windows_only(
        ticks in prop::collection::vec(-1000_i64..1000, 1..40),
        bad in prop::collection::vec(0_usize..40, 0..4),
        irrational in any::<bool>(),
        window in 1_usize..10,
    ) {
        let mut values = decimals(2, &ticks);
        if irrational {
            values.iter_mut().for_each(|v| *v *= std::f64::consts::PI);
        }
        let clean = columns(&ExactSums::new(&values), window);
        let mut spoiled = values.clone();
        for (i, &at) in bad.iter().enumerate() {
            if at < spoiled.len() {
                spoiled[at] = [f64::NAN, f64::INFINITY][i % 2];
            }
        }
        let found = columns(&ExactSums::new(&spoiled), window);
        for (clean, found) in clean.iter().zip(&found) {
            for i in 0..values.len() {
                let hit = i + 1 >= window && spoiled[i + 1 - window..=i].iter().any(|v| !v.is_finite());
                if hit || i + 1 < window {
                    prop_assert!(found[i].is_nan());
                } else {
                    // The spoiled column may need fewer decimal places or another prefix: the value is the same.
                    prop_assert!((found[i] - clean[i]).abs() <= 1e-12 * (1.0 + clean[i].abs()));
                }
            }
        }
    }

    #[test]
    fn no_value_outside_a_window_changes_its_bits(
        values in prop::collection::vec(any_value(), 2..60),
        start in 0.0_f64..1.0,
        end in 0.0_f64..1.0,
        window in 1_usize..20,
    ) {
        let start = (start * values.len() as f64) as usize;
        let end = start + (end * (values.len() - start) as f64) as usize;
        let full = columns(&ExactSums::new(&values), window);
        let before = columns(&ExactSums::new(&values[..end]), window);
        let after = columns(&ExactSums::new(&values[start..]), window);
        let part = columns(&ExactSums::new(&values[start..end]), window);
        for (((full, before), after), part) in full.iter().zip(before).zip(after).zip(part) {
            // What is to come changes nothing.
            prop_assert_eq!(bits(&full[..end]), bits(&before));
            prop_assert_eq!(bits(&after[..end - start]), bits(&part));
            // Nor does what was, for decimals.
            for i in start + window - 1..values.len() {
                let decimals = values[i + 1 - window..=i].iter().all(|&v| !v.is_finite() || ticks::decimal(v).is_some());
                if decimals {
                    prop_assert_eq!(bits(&full[i..=i]), bits(&after[i - start..=i - start]));
                }
            }
        }
    }

    #[test]
    fn wide_sums_have_the_bits_of_narrow_ones(
        places in 0_u32..=10,
        ticks in prop::collection::vec(-200_000_000_000_i64..200_000_000_000, 1..60),
        last in prop_oneof![Just(57.0 * 0.01), Just(2e15), Just(1e300), Just(0.1)],
        window in 1_usize..20,
    ) {
        let mut values = decimals(places, &ticks);
        let narrow = columns(&ExactSums::new(&values), window);
        values.push(last);
        let wide = columns(&ExactSums::new(&values), window);
        for (narrow, wide) in narrow.iter().zip(wide) {
            prop_assert_eq!(bits(narrow), bits(&wide[..ticks.len()]));
        }
    }

    #[test]
    fn windows_that_slide_have_the_bits_of_prefix_sums(
        places in 0_u32..=8,
        most in prop_oneof![Just(100_i64), Just(5_000_000), Just(200_000_000_000)],
        steps in prop::collection::vec(-1.0_f64..1.0, 1..700),
        finer in prop::option::weighted(0.2, 0.0_f64..1.0),
        window in prop_oneof![1_usize..20, 1_usize..400],
    ) {
        let ticks: Vec<i64> = steps.iter().map(|step| (step * most as f64) as i64).collect();
        let mut values = decimals(places, &ticks);
        if let Some(at) = finer {
            // More places than the values before it have.
            let at = (at * values.len() as f64) as usize;
            values[at] = (ticks[at] % 1_000_000 * 10 + 1) as f64 / 10_f64.powi(places as i32 + 1);
        }
        let expected = columns(&ExactSums::new(&values), window);
        let sums = Sums::default();
        // The first of them checks the values, some others know, the rest take prefix sums.
        for (first, expected) in expected.iter().enumerate() {
            let fresh = Sums::default();
            for sums in [&fresh, &sums] {
                let windows = sums.of(&values);
                let found: Vec<f64> = match first {
                    0 => windows.means(window),
                    1 => windows.window_sums(window),
                    2 => windows.weighted_means(window),
                    3 => windows.deviations(window),
                    _ => windows.variances(window),
                };
                prop_assert_eq!(bits(&found), bits(expected));
            }
        }
        let both = |one: &[f64], other: &[f64], [a, b]: &mut [Vec<f64>; 2]| {
            a.extend_from_slice(one);
            b.extend_from_slice(other);
        };
        for sums in [&Sums::default(), &sums] {
            let [means, weighted] = sums.of(&values).means_and_weighted(window, both);
            prop_assert_eq!([bits(&means), bits(&weighted)], [bits(&expected[0]), bits(&expected[2])]);
            let [means, deviations] = sums.of(&values).means_and_deviations(window, both);
            prop_assert_eq!([bits(&means), bits(&deviations)], [bits(&expected[0]), bits(&expected[3])]);
        }
    }

    #[test]
    fn a_constant_divides_as_a_division_does(by in 1_u64..1 << 25, numerator in any::<i64>()) {
        let divisor = divisor::Divisor::new(u128::from(by)).expect("a divisor");
        let bits = u64::BITS - by.leading_zeros();
        for bits in [50 - bits, bits, bits + 3, 20] {
            let numerator = numerator % (1 << bits.min(50 - (u64::BITS - by.leading_zeros())));
            prop_assert!(divisor.multiplies(u128::from(numerator.unsigned_abs())));
            let mut found = Vec::new();
            divisor.divide(&[numerator], true, &mut found);
            prop_assert_eq!(found[0], numerator as f64 / by as f64);
        }
    }

    #[test]
    fn quotients_of_wide_integers_are_rounded_once(
        high in 0_u64..1 << 60,
        low in any::<u64>(),
        denominator in 1_u128..1 << 72,
        shift in 0_u32..120,
    ) {
        let numerator = ((i128::from(high) << 64 | i128::from(low)) >> shift).max(1);
        nearest(ratio(numerator, denominator), numerator, denominator)?;
        // Half way between two, and a little beside it.
        let half = (u128::from(low >> 11 | 1 << 52) * 2 + 1) as i128;
        let by = (denominator >> 20).max(1);
        for beside in -1..=1 {
            nearest(ratio(half * by as i128 + beside, 2 * by), half * by as i128 + beside, 2 * by)?;
        }
    }

    #[test]
    fn a_decimal_is_found_in_its_own_places(ticks in -(1_i64 << 51)..=1 << 51, places in 0_u32..=10) {
        let (mut least, mut own) = (ticks, places);
        while own > 0 && least % 10 == 0 {
            (least, own) = (least / 10, own - 1);
        }
        prop_assert_eq!(ticks::decimal(decimals(places, &[ticks])[0]), Some((least, own)));
    }

    #[test]
    fn quotients_are_rounded_once(numerator in any::<i64>(), denominator in 1_u64..) {
        nearest(ratio(i128::from(numerator), u128::from(denominator)), i128::from(numerator), u128::from(denominator))?;
    }
}

/// Prices in cents and in ever finer steps, noisy products, volumes that need 128 bits together, and what is no number.
fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => (0_i64..100_000).prop_map(|k| k as f64 / 100.0),
        2 => (-200_000_000_000_i64..200_000_000_000, 0..=10).prop_map(|(k, d)| k as f64 / 10_f64.powi(d)),
        1 => (0_i64..100_000).prop_map(|k| k as f64 * 0.01),
        1 => (1_i64 << 46..1 << 51).prop_map(|k| k as f64),
        1 => (1_i64 << 46..1 << 51).prop_map(|k| k as f64 / 1e4),
        1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(0.0), Just(1e-10), Just(1e18), Just(1.0 / 3.0)],
    ]
}

/// A value as a multiple of 2^-80, if it is one and small.
fn scaled(value: f64) -> Option<i128> {
    let scaled = value * 2_f64.powi(80);
    (scaled == scaled.trunc() && scaled.abs() < 2_f64.powi(100)).then_some(scaled as i128)
}

/// Whether no f64 beside `found` is nearer to `numerator / denominator`.
fn nearest(found: f64, numerator: i128, denominator: u128) -> Result<(), TestCaseError> {
    if numerator == 0 {
        prop_assert_eq!(found, 0.0);
        return Ok(());
    }
    // distance(x) = |x * denominator - numerator|, in units of the last place of `found`, by integers: scale so that
    // the candidates are integers.
    let magnitude = found.abs();
    let exponent = ((magnitude.to_bits() >> 52) as i32) - 1075;
    let mantissa = ((magnitude.to_bits() & ((1 << 52) - 1)) | (1 << 52)) as i128;
    prop_assert_eq!(found < 0.0, numerator < 0);
    // |m * 2^e - n/d| <= 2^(e-1)  <=>  |m * d - n * 2^-e| <= d / 2, wide enough in i128 only for small numbers; else
    // trust a double-double check.
    let d = denominator as f64;
    let product = Double::product(magnitude, d);
    let n_hi = numerator.unsigned_abs() as f64;
    let n_lo = (numerator.unsigned_abs() as i128 - n_hi as i128) as f64;
    let d_lo = (denominator as i128 - d as i128) as f64;
    let off = product.add(Double::product(magnitude, d_lo)).sub(Double { hi: n_hi, lo: n_lo });
    let half_ulp = 2_f64.powi(exponent - 1);
    prop_assert!(mantissa > 0);
    prop_assert!(off.value().abs() <= half_ulp * d * (1.0 + 1e-9), "{found} for {numerator}/{denominator}");
    Ok(())
}

#[test]
fn places_are_found() {
    let places = |values: &[f64]| ExactSums::new(values).places();
    assert_eq!(places(&[1.0, 2.0]), Some(0));
    assert_eq!(places(&[1.0, 0.25, f64::NAN]), Some(2));
    assert_eq!(places(&[0.000_012_34, 70_000.1]), Some(8));
    assert_eq!(places(&[0.123_456_789_1]), Some(10));
    assert_eq!(places(&[0.123_456_789_12]), None);
    assert_eq!(places(&[1.0 / 3.0]), None);
    // More ticks than an f64 tells apart, together, but not one by one.
    assert_eq!(places(&[1e15, 0.01]), Some(2));
    assert_eq!(places(&[1e15, 0.01, 57.0 * 0.01]), None);
    assert_eq!(places(&[]), Some(0));
}

#[test]
fn a_price_to_come_that_is_no_decimal_changes_no_mean() {
    let mut values: Vec<f64> = (0..400_i64).map(|i| (4_000 + i * 7919 % 3001) as f64 / 100.0).collect();
    values.push(57.0 * 0.01);
    let (full, part) = (ExactSums::new(&values), ExactSums::new(&values[..400]));
    assert_eq!((full.places(), part.places()), (None, Some(2)));
    for window in [3, 7, 20] {
        for (full, part) in columns(&full, window).iter().zip(columns(&part, window)) {
            assert_eq!(bits(&full[..400]), bits(&part));
        }
    }
}

#[test]
fn volumes_that_add_up_to_more_than_64_bits_change_no_mean() {
    let values: Vec<f64> =
        (0..200_000_u64).map(|i| (i * 6_364_136_223 % 100_000_000_000_000) as f64 / 1e3).collect();
    let (full, part) = (ExactSums::new(&values), ExactSums::new(&values[..50_000]));
    let narrow = |sums: &ExactSums| matches!(sums.numbers, Numbers::Decimal { .. });
    assert_eq!((narrow(&full), narrow(&part)), (false, true));
    assert_eq!((full.places(), part.places()), (Some(3), Some(3)));
    for (full, part) in columns(&full, 20).iter().zip(columns(&part, 20)) {
        assert_eq!(bits(&full[..50_000]), bits(&part));
    }
}

#[test]
fn a_window_too_wide_for_128_bits_is_summed_from_its_own_values() {
    // In its own places 2e15 * 10^10 ticks, whose square has 169 bits.
    let values = [3.3, 0.1, 2e15, 1e-10, 7.0, 7.0, 2e15, 1e15];
    let full = columns(&ExactSums::new(&values), 2);
    let tail = columns(&ExactSums::new(&values[2..]), 2);
    for (full, tail) in full.iter().zip(tail) {
        assert_eq!(bits(&full[3..]), bits(&tail[1..]));
    }
    let deviations = &full[3];
    assert_eq!(deviations[2..], [1e15, 1e15, 3.499_999_999_95, 0.0, 999_999_999_999_996.5, 5e14]);
    assert_eq!(full[0][3], 1e15);
}

#[test]
fn no_volume_over_many_bars_is_zero() {
    let mut values = vec![0.0; 1500];
    values.push(1e-10);
    assert_eq!(ExactSums::new(&values).weighted_means(1500)[1499], 0.0);
}

#[test]
fn sums_beyond_53_bits_are_exact() {
    // 3000 bars of a price with 8 places: the window sum has 55 bits.
    let values = vec![70_123.456_789_01; 3000];
    let sums = ExactSums::new(&values);
    assert_eq!(sums.places(), Some(8));
    assert_eq!(sums.means(2500)[2999], 70_123.456_789_01);
    assert_eq!(sums.sum(2999, 3000), 210_370_370.367_03);
    assert_eq!(sums.deviations(2500)[2999], 0.0);
}

#[test]
fn windows_that_do_not_fit_are_unknown() {
    let sums = ExactSums::new(&[1.0, 2.0]);
    assert!(columns(&sums, 3).iter().flatten().all(|v| v.is_nan()));
    assert!(columns(&sums, 0).iter().flatten().all(|v| v.is_nan()));
    assert!(sums.sum(2, 1).is_nan() && sums.sum(0, 2).is_nan() && sums.sum(0, 0).is_nan());
    assert!(ExactSums::new(&[]).means(1).is_empty());
}

#[test]
fn calculated_columns_do_not_look_ahead() {
    // A decimal so far; the value to come is none.
    let values = [0.1, 0.7, 0.2, 0.4, std::f64::consts::PI];
    let (full, part) = (ExactSums::real(&values), ExactSums::real(&values[..4]));
    assert_eq!(full.places(), None);
    assert_eq!(part.places(), None);
    for (full, part) in columns(&full, 3).iter().zip(columns(&part, 3)) {
        assert_eq!(bits(&full[..4]), bits(&part));
    }
    assert_eq!(Sums::real().of(&values[..4]).places(), None);
    assert_eq!(Sums::default().of(&values[..4]).places(), Some(1));
}

#[test]
fn a_quotient_just_beyond_half_way_is_rounded_up() {
    let denominator = (1_u128 << 70) + 1;
    let half_way = (1_i128 << 54) + 2;
    let beyond = denominator as i128 * half_way;
    assert_eq!(ratio(beyond, denominator), 2_f64.powi(54));
    assert_eq!(ratio(beyond + 1, denominator), 2_f64.powi(54) + 4.0);
    assert_eq!(ratio(-beyond - 1, denominator), -2_f64.powi(54) - 4.0);
}
