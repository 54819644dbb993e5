//! What finished jobs leave in the index of a family, so that later ones find their trials.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::store::keys;
use crate::{JobId, ObjectRef, Plan, Store, StoreError};

/// Different values of a parameter up to which a table names them all.
const MOST_NAMED: usize = 16;

/// What a job left of a symbol: tables, and the candles that they were made on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CachedTables {
    /// When it left them, in seconds since 1970; 0 where only the object that holds this tells.
    #[serde(default)]
    pub left: i64,
    /// How many candles, history included.
    pub candles: u64,
    /// Their digest.
    pub digest: String,
    /// Whether they had as much history as any of the trials wants. One that started cold is another on longer history.
    #[serde(default)]
    pub is_warm: bool,
    /// The tables.
    pub results: Vec<CachedTable>,
    /// The object that says so, where it says nothing else.
    #[serde(skip)]
    pub said_by: Option<String>,
}

/// A table of trials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CachedTable {
    /// The table.
    #[serde(flatten)]
    pub result: ObjectRef,
    /// What values each swept parameter has in it, in the order of the axes: whoever looks for others need not read it. None
    /// where nobody said.
    #[serde(default)]
    pub values: Vec<Values>,
}

impl CachedTable {
    /// Whether it may have trials of a job whose axes have these values, in order.
    pub fn may_have(&self, axes: &[Vec<f64>]) -> bool {
        self.values.is_empty()
            || self.values.len() == axes.len()
                && self
                    .values
                    .iter()
                    .zip(axes)
                    .all(|(here, axis)| axis.iter().any(|&value| here.may_be(value)))
    }
}

/// Values of a parameter, by their bits: JSON would keep some of them only about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Values {
    /// These, in order.
    Named(Vec<u64>),
    /// Some from the first to the last of these.
    Within(u64, u64),
}

impl Values {
    /// Those of a column.
    pub fn of(column: &[f64]) -> Self {
        let mut known: Vec<u64> = column.iter().map(|&value| bits(value)).collect();
        known.sort_by(|&a, &b| f64::from_bits(a).total_cmp(&f64::from_bits(b)));
        known.dedup();
        match known.as_slice() {
            &[first, .., last] if known.len() > MOST_NAMED => Self::Within(first, last),
            _ => Self::Named(known),
        }
    }

    fn may_be(&self, value: f64) -> bool {
        match self {
            Self::Named(known) => known.contains(&bits(value)),
            &Self::Within(first, last) => (f64::from_bits(first)..=f64::from_bits(last)).contains(&value),
        }
    }
}

/// Leaves tables of a job, by the place of their symbol, to later jobs of its tenant. Without it they compute again, and
/// nothing else is lost.
///
/// # Errors
/// [`StoreError`]: some of them may be left.
pub async fn leave(
    store: &Store,
    job: &JobId,
    plan: &Plan,
    tables: BTreeMap<u32, Vec<CachedTable>>,
) -> Result<(), StoreError> {
    for (symbol, results) in tables {
        let Some(input) = plan.inputs.symbols.get(symbol as usize).filter(|input| !input.family.is_empty())
        else {
            continue;
        };
        let left = CachedTables {
            left: 0,
            candles: input.candles,
            digest: input.digest.clone(),
            is_warm: input.has_whole_history,
            results,
            said_by: None,
        };
        let key = format!("{}/{job}", keys::cache_index(&plan.tenant, &input.family));
        let Ok(bytes) = serde_json::to_vec(&left) else { continue };
        store.put(&key, bytes.into()).await?;
    }
    Ok(())
}

/// A value as trials are told apart by it: 0 and -0 are one.
pub fn bits(value: f64) -> u64 {
    (value + 0.0).to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[&[f64]]) -> CachedTable {
        let result = ObjectRef { key: "cache/t/f/x.parquet".to_owned(), sha256: "00".to_owned(), bytes: 7 };
        CachedTable { result, values: columns.iter().map(|column| Values::of(column)).collect() }
    }

    #[test]
    fn a_table_says_what_it_may_have() {
        let few = table(&[&[0.1, 0.3, 0.1], &[-0.0, 5.0, 7.0]]);
        let has = |table: &CachedTable, axes: &[&[f64]]| {
            table.may_have(&axes.iter().map(|axis| axis.to_vec()).collect::<Vec<_>>())
        };
        assert!(has(&few, &[&[0.2, 0.3], &[5.0]]));
        assert!(has(&few, &[&[0.1], &[0.0]]));
        assert!(!has(&few, &[&[0.2], &[5.0]]));
        assert!(!has(&few, &[&[0.1 + 1e-17 + f64::EPSILON], &[5.0]]));
        assert!(!has(&few, &[&[0.1]]), "it has other parameters");
        assert!(has(&table(&[]), &[&[0.1]]), "nobody said");
        let many: Vec<f64> = (0..1000).map(f64::from).collect();
        let many = table(&[&many]);
        assert!(has(&many, &[&[0.5]]) && has(&many, &[&[999.0]]) && !has(&many, &[&[999.5, -1.0]]));
        for table in [few, many] {
            let text = serde_json::to_string(&table).unwrap();
            assert!(text.starts_with("{\"key\":\"cache/t/f/x.parquet\","), "{text}");
            assert_eq!(serde_json::from_str::<CachedTable>(&text).unwrap(), table);
        }
    }
}
