//! Compute classes: what a worker has, and what it costs.

use std::collections::BTreeMap;

use blockgrid_job::quote::Price;
use serde::Deserialize;
use serde_json::Value;

/// A compute class.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Class {
    /// CPU of a worker, as Kubernetes writes it: requested and, as its limit, had.
    pub cpu: String,
    /// Memory of a worker.
    pub memory: String,
    /// Units that a worker computes at a time.
    pub slots: u32,
    /// Micro-USD that an hour of a vCPU costs.
    pub micro_usd_per_vcpu_hour: u64,
    /// Whether its nodes may be taken away.
    #[serde(default)]
    pub spot: bool,
    /// Where its pods may run.
    #[serde(default)]
    pub node_selector: BTreeMap<String, String>,
    /// What its pods tolerate.
    #[serde(default)]
    pub tolerations: Vec<Value>,
    /// Their priority.
    #[serde(default)]
    pub priority_class_name: Option<String>,
    /// The Kueue queue that its pools wait in.
    #[serde(default)]
    pub kueue_queue: Option<String>,
}

impl Class {
    /// vCPUs of a worker.
    ///
    /// # Errors
    /// When `cpu` is no quantity.
    pub fn vcpus(&self) -> Result<f64, String> {
        vcpus(&self.cpu).ok_or_else(|| {
            format!("cpu is `{}`, but must be a number of processors such as 2 or 500m", self.cpu)
        })
    }

    /// Micro-USD that an hour of one of its workers costs.
    pub fn micro_usd_per_hour(&self) -> u64 {
        // Checked when the configuration was read.
        (self.vcpus().unwrap_or(0.0) * self.micro_usd_per_vcpu_hour as f64).round() as u64
    }

    /// Bytes of memory of a worker.
    ///
    /// # Errors
    /// When `memory` is no quantity.
    pub fn memory_bytes(&self) -> Result<u64, String> {
        let units = [
            ("Ki", 1_u64 << 10),
            ("Mi", 1 << 20),
            ("Gi", 1 << 30),
            ("Ti", 1 << 40),
            ("k", 1_000),
            ("M", 1_000_000),
            ("G", 1_000_000_000),
        ];
        let found = units.iter().find_map(|(unit, bytes)| Some((self.memory.strip_suffix(unit)?, *bytes)));
        let (digits, unit) = found.unwrap_or((&self.memory, 1));
        let bytes = digits.parse::<f64>().ok().map(|number| number * unit as f64);
        bytes
            .filter(|bytes| (67_108_864.0..=1e14).contains(bytes))
            .map(|bytes| bytes as u64)
            .ok_or_else(|| format!("memory is `{}`, but must be 64Mi or more, such as 4Gi", self.memory))
    }

    /// Its price.
    pub fn price(&self, name: &str) -> Price {
        Price { name: name.to_owned(), micro_usd_a_vcpu_hour: self.micro_usd_per_vcpu_hour }
    }
}

/// Processors, as Kubernetes writes them: `2`, `500m`.
pub fn vcpus(text: &str) -> Option<f64> {
    let (digits, scale) = match text.strip_suffix('m') {
        Some(digits) => (digits, 1e-3),
        None => (text, 1.0),
    };
    let vcpus = digits.parse::<f64>().ok().map(|number| number * scale);
    vcpus.filter(|vcpus| (0.001..=1024.0).contains(vcpus))
}
