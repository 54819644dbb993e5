//! Nodes as text.

use super::{CrossRule, Graph, NodeId, Op};
use crate::expr::UnaryOp;
use crate::indicators::{Domain, Param};

/// The longest description, in bytes. Blocks that share a node repeat its text: thirty that each add the one before to
/// itself would make a gigabyte.
const LONGEST: usize = 240;

impl Graph {
    /// A node as text, as `explain` shows it; long ones are cut.
    pub fn describe(&self, id: NodeId) -> String {
        let mut out = String::new();
        self.write(id, &mut out);
        if out.len() > LONGEST {
            let cut = (0..=LONGEST).rev().find(|&i| out.is_char_boundary(i)).unwrap_or(0);
            out.truncate(cut);
            out.push('…');
        }
        out
    }

    fn write(&self, id: NodeId, out: &mut String) {
        if out.len() > LONGEST {
            return;
        }
        let node = self.node(id);
        let inputs = node.inputs.as_slice();
        match &node.op {
            Op::Number(value) => out.push_str(&value.to_string()),
            Op::Flag(flag) => out.push_str(&flag.to_string()),
            Op::Candle(field) => out.push_str(&format!("{field:?}").to_lowercase()),
            Op::Column(nth) => out.push_str(self.columns.get(*nth).map_or("", String::as_str)),
            Op::Time(field) => out.push_str(&format!("{}()", lower_first(&format!("{field:?}")))),
            Op::Position(field) => out.push_str(&format!("{}()", lower_first(&format!("{field:?}")))),
            Op::Unary(UnaryOp::Negate) => self.parts("-", inputs, "", "", out),
            Op::Unary(UnaryOp::Not) => self.parts("!", inputs, "", "", out),
            Op::Binary(op) => self.parts("(", inputs, &format!(" {} ", op.symbol()), ")", out),
            Op::Math(math) => {
                self.parts(&format!("{}(", format!("{math:?}").to_lowercase()), inputs, ", ", ")", out)
            }
            Op::Choose => {
                self.parts("(", &inputs[..1], "", " ? ", out);
                self.parts("", &inputs[1..], " : ", ")", out);
            }
            Op::Shift(k) => self.parts("", inputs, "", &format!("[{k}]"), out),
            Op::Cross(rule) => {
                let end = match rule {
                    CrossRule::Pine => ")",
                    CrossRule::Strict => ", \"strict\")",
                    CrossRule::Vectorbt => ", \"vectorbt\")",
                };
                self.parts("crosses_above(", inputs, ", ", end, out);
            }
            Op::Indicator(indicator) => {
                self.parts(&format!("{}(", indicator.name), inputs, ", ", "", out);
                let params: Vec<_> =
                    indicator.params.iter().zip(&node.params).map(|(p, &value)| argument(p, value)).collect();
                let separator = if inputs.is_empty() || params.is_empty() { "" } else { ", " };
                out.push_str(&format!("{separator}{})", params.join(", ")));
            }
            Op::Output(k) => {
                let end = match &self.node(inputs[0]).op {
                    Op::Indicator(indicator) if indicator.outputs.len() == 1 => String::new(),
                    Op::Indicator(indicator) => format!(".{}", indicator.outputs[*k]),
                    _ => format!(".{k}"),
                };
                self.parts("", inputs, "", &end, out);
            }
            Op::Align => {
                self.parts(&format!("tf(\"{}\", ", self.node(inputs[0]).frame), inputs, "", ")", out)
            }
        }
    }

    /// `start`, the nodes with `separator` between them, `end`.
    fn parts(&self, start: &str, nodes: &[NodeId], separator: &str, end: &str, out: &mut String) {
        out.push_str(start);
        for (i, &node) in nodes.iter().enumerate() {
            if i > 0 {
                out.push_str(separator);
            }
            self.write(node, out);
        }
        out.push_str(end);
    }
}

/// The value of a parameter as it is written.
fn argument(param: &Param, value: f64) -> String {
    let text = match param.domain {
        Domain::Choice(words) => words.get(value as usize).map(|word| (*word).to_owned()),
        Domain::Instant => jiff::Timestamp::from_millisecond(value as i64).ok().map(|at| at.to_string()),
        _ => None,
    };
    text.map_or_else(|| value.to_string(), |text| format!("\"{text}\""))
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{Compiler, Scope};
    use super::*;
    use crate::expr::parse;

    fn described(define: &[(String, String)], text: &str) -> String {
        let (parameters, mut graph) = (BTreeMap::new(), Graph::new());
        let define =
            define.iter().map(|(name, text)| (name.clone(), (text.clone(), parse(text).unwrap()))).collect();
        let scope = Scope {
            parameters: &parameters,
            define: &define,
            columns: &[],
            base: "1h".parse().unwrap(),
            vectorbt: false,
        };
        let outputs = Compiler::new(&mut graph, scope).compile_any(text, &parse(text).unwrap()).unwrap();
        graph.describe(outputs[0].1)
    }

    #[test]
    fn a_node_reads_as_it_was_written() {
        for text in [
            "crosses_above(sma(close, 5), tf(\"1d\", bbands(close, 20, 2).upper))",
            "((close > open[2]) && (hour() < 9))",
            "ppo(close, 12, 26, \"kama\")",
            "((atr(14) > 1) ? -low : max(high, volume))",
            "(pivot(\"camarilla\", \"week\").r1 > avwap(\"2024-03-01T00:00:00Z\"))",
        ] {
            assert_eq!(described(&[], text), text);
        }
    }

    #[test]
    fn a_node_that_repeats_itself_a_billion_times_is_cut() {
        let block = |i: usize| {
            (format!("b{i}"), if i == 0 { "close".to_owned() } else { format!("b{} + b{}", i - 1, i - 1) })
        };
        let define: Vec<_> = (0..=30).map(block).collect();
        assert!(described(&define, "b30").ends_with('…'));
    }
}
