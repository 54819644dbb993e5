//! Expressions: CEL text, parsed with the `cel` crate's parser into a small tree of our own.
//!
//! Only the syntax is CEL's. Types, names and evaluation over columns are blockgrid's (see [`crate::graph`]): all
//! arithmetic is `f64` (`1/2` is 0.5) and booleans are three-valued.

mod parse;

pub use parse::{MAX_BYTES, MAX_DEPTH, parse};

/// A parsed expression and where it stands in its text.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: Kind,
    /// Offset of its first character in the text, in characters.
    pub at: usize,
}

/// The kinds of expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// `14`, `0.5`.
    Number(f64),
    /// `"1d"`.
    Text(String),
    /// `true`, `false`.
    Flag(bool),
    /// `close`, a parameter or a named block.
    Name(String),
    /// `sma(close, 20)`.
    Call {
        /// Function name.
        name: String,
        /// Arguments.
        args: Vec<Expr>,
    },
    /// `bbands(close, 20, 2).upper`.
    Member {
        /// What the member is taken of.
        of: Box<Expr>,
        /// Member name.
        name: String,
    },
    /// `close[1]`.
    Index {
        /// What is looked back at.
        of: Box<Expr>,
        /// How many bars.
        by: Box<Expr>,
    },
    /// `-x`, `!x`.
    Unary {
        /// The operator.
        op: UnaryOp,
        /// The operand.
        of: Box<Expr>,
    },
    /// `a + b`, `a && b`, `a < b`.
    Binary {
        /// The operator.
        op: BinaryOp,
        /// Left operand.
        left: Box<Expr>,
        /// Right operand.
        right: Box<Expr>,
    },
    /// `condition ? yes : no`.
    Choose {
        /// The condition.
        condition: Box<Expr>,
        /// The value where it is true.
        yes: Box<Expr>,
        /// The value where it is false.
        no: Box<Expr>,
    },
}

/// Operators of one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    /// `-x`
    Negate,
    /// `!x`
    Not,
}

/// Operators of two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`; a division by zero is unknown (NaN)
    Divide,
    /// `%`, with the sign of the dividend; by zero unknown
    Remainder,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `&&`
    And,
    /// `||`
    Or,
}

impl BinaryOp {
    /// How it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Subtract => "-",
            BinaryOp::Multiply => "*",
            BinaryOp::Divide => "/",
            BinaryOp::Remainder => "%",
            BinaryOp::Less => "<",
            BinaryOp::LessOrEqual => "<=",
            BinaryOp::Greater => ">",
            BinaryOp::GreaterOrEqual => ">=",
            BinaryOp::Equal => "==",
            BinaryOp::NotEqual => "!=",
            BinaryOp::And => "&&",
            BinaryOp::Or => "||",
        }
    }
}

/// What is wrong with an expression, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (column {}: `{}`)", .at + 1, excerpt(.text, *.at))]
pub struct ExprError {
    /// The whole text of the expression.
    pub text: String,
    /// Offset of the offending part, in characters from 0.
    pub at: usize,
    /// What is wrong and what to do about it.
    pub message: String,
    /// The named block (`define`) whose text this is; `None` for the expression itself.
    pub block: Option<String>,
}

/// The part of the text that starts at a position, cut to a readable length.
fn excerpt(text: &str, at: usize) -> String {
    const SHOWN: usize = 40;
    let mut shown: String = text.chars().skip(at).take(SHOWN).collect();
    if text.chars().count() > at + SHOWN {
        shown.push('…');
    }
    shown
}

/// The nearest of `known` to `name`, as a hint for an error message, or the whole list when none is near.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (lower.len().min(candidate.len()) / 3).max(1))
        .min_by_key(|(distance, candidate)| (*distance, *candidate))
        .map(|(_, candidate)| candidate)
}
