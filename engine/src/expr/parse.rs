//! CEL text to [`Expr`].

use cel::common::ast::{Expr as Cel, IdedExpr, LiteralValue, SourceInfo, operators};
use cel::parser::Parser;

use super::{BinaryOp, Expr, ExprError, Kind, UnaryOp};

/// The longest expression that is parsed, in bytes. The grammar's parser aborts the process on 100,000 terms, so the
/// length is checked first; anything this long reads better as named blocks anyway.
pub const MAX_BYTES: usize = 8 * 1024;

/// The deepest nesting that is taken, counted in operators and calls: everything downstream recurses this deep.
pub const MAX_DEPTH: usize = 100;

/// Stack of the parsing thread: measured, 8 KiB of the worst text needs less than a quarter of it.
const STACK_BYTES: usize = 256 << 20;

/// Parses an expression.
///
/// # Errors
/// A text over [`MAX_BYTES`], a syntax error, nesting deeper than [`MAX_DEPTH`], or a construct of CEL that
/// strategies do not have (lists, maps, comprehensions, methods).
pub fn parse(text: &str) -> Result<Expr, ExprError> {
    let error = |at: usize, message: String| ExprError { text: text.to_owned(), at, message, block: None };
    if text.len() > MAX_BYTES {
        let message = format!(
            "the expression has {} bytes, the limit is {MAX_BYTES}: name parts of it under `define`",
            text.len()
        );
        return Err(error(0, message));
    }
    if text.trim().is_empty() {
        return Err(error(0, "the expression is empty".to_owned()));
    }
    // The parser and its trees recurse as deep as the text nests: 8 KiB of `a+a+...` overflows a thread's usual 2 MB.
    std::thread::scope(|scope| {
        let parser =
            std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, || parse_here(text));
        match parser.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(parsed)) => parsed,
            _ => Err(error(0, "failed to parse the expression: the parser gave up on it".to_owned())),
        }
    })
}

fn parse_here(text: &str) -> Result<Expr, ExprError> {
    let error = |at: usize, message: String| ExprError { text: text.to_owned(), at, message, block: None };
    let (tree, source) = Parser::new().parse_with_source_info(&spelled(text)).map_err(|errors| {
        let first = errors.errors.into_iter().next();
        let (line, column, message) =
            first.map_or((1, 1, "syntax error".to_owned()), |e| (e.pos.0, e.pos.1, e.msg));
        let at = offset_of(text, line, column).min(text.chars().count());
        error(at, format!("failed to parse the expression: {}", plain(text, at, &message)))
    })?;
    Lower { text, source: &source }.expr(&tree, 0)
}

/// CEL reserves the word `var`, which is the name of an indicator: the parser sees it in capitals, which take the same
/// place, and [`name`] turns it back.
fn spelled(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut quote = None;
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let taken = match quote {
            None if word > 0 => word,
            // What a backslash stands before ends no text.
            Some(_) if first == '\\' => first.len_utf8() + rest[1..].chars().next().map_or(0, char::len_utf8),
            _ => first.len_utf8(),
        };
        if quote.is_none() && &rest[..taken] == "var" {
            out.push_str("VAR");
        } else {
            out.push_str(&rest[..taken]);
        }
        quote = match quote {
            None if first == '"' || first == '\'' => Some(first),
            Some(open) if first == open => None,
            same => same,
        };
        rest = &rest[taken..];
    }
    out
}

/// A name as it was written; see [`spelled`].
fn name(parsed: &str) -> String {
    if parsed == "VAR" { "var".to_owned() } else { parsed.to_owned() }
}

/// Character offset of a 1-based line and column.
fn offset_of(text: &str, line: isize, column: isize) -> usize {
    let before: usize = text
        .split_inclusive('\n')
        .take(usize::try_from(line - 1).unwrap_or(0))
        .map(|l| l.chars().count())
        .sum();
    before + usize::try_from(column - 1).unwrap_or(0)
}

/// The parser's message in words for who wrote the expression, with the remedy for what people write most.
fn plain(text: &str, at: usize, message: &str) -> String {
    if message.contains("Recursion limit") {
        return format!("it nests deeper than {MAX_DEPTH}: name parts of it under `define`");
    }
    let rest: String = text.chars().skip(at).collect();
    let before: String = text.chars().take(at).collect();
    let word: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let shown = if word.is_empty() { rest.chars().take(1).collect() } else { word.clone() };
    let remedy = match (word.as_str(), rest.chars().next()) {
        ("and" | "AND", _) | (_, Some('&')) => ": write &&",
        ("or" | "OR", _) | (_, Some('|')) => ": write ||",
        (_, Some('=')) => ": == compares, and arguments are given in order, without names",
        (_, Some('“' | '”' | '‘' | '’')) => ": quotes are straight, \"1d\"",
        _ if text.trim_start().starts_with("not ") => ": write ! for not, as in !(close > open)",
        (_, None) if opens(text) > 0 => {
            ": a bracket is not closed; within {} of YAML a comma ends a value, unless the expression is quoted"
        }
        _ if before.ends_with(|c: char| c.is_ascii_digit()) && !word.is_empty() => {
            ": an interval stands in quotes, \"4h\""
        }
        (_, None) if before.trim_end().ends_with('%') => ": a percentage is a fraction here, 0.03 for 3 %",
        _ => "",
    };
    if rest.trim().is_empty() {
        let what = if remedy.is_empty() { ": an operand or a bracket is missing" } else { remedy };
        return format!("it ends too early{what}");
    }
    format!("unexpected `{shown}`{remedy}")
}

/// Round brackets that are opened and not closed.
fn opens(text: &str) -> usize {
    let count = |bracket: char| text.matches(bracket).count();
    count('(').saturating_sub(count(')'))
}

struct Lower<'a> {
    text: &'a str,
    source: &'a SourceInfo,
}

impl Lower<'_> {
    fn at(&self, id: u64) -> usize {
        self.source.offset_for(id).map_or(0, |(start, _)| start as usize)
    }

    fn error(&self, id: u64, message: impl Into<String>) -> ExprError {
        ExprError { text: self.text.to_owned(), at: self.at(id), message: message.into(), block: None }
    }

    fn boxed(&self, tree: &IdedExpr, depth: usize) -> Result<Box<Expr>, ExprError> {
        self.expr(tree, depth).map(Box::new)
    }

    fn expr(&self, tree: &IdedExpr, depth: usize) -> Result<Expr, ExprError> {
        if depth > MAX_DEPTH {
            let message =
                format!("the expression nests deeper than {MAX_DEPTH}: name parts of it under `define`");
            return Err(self.error(tree.id, message));
        }
        let mut at = self.at(tree.id);
        let kind = match &tree.expr {
            Cel::Literal(literal) => self.literal(tree.id, literal)?,
            Cel::Ident(name) => Kind::Name(self::name(name)),
            Cel::Select(select) if !select.test => {
                let of = self.boxed(&select.operand, depth + 1)?;
                at = at.min(of.at);
                Kind::Member { of, name: select.field.clone() }
            }
            Cel::Call(call) => {
                if let Some(target) = &call.target {
                    let message = format!(
                        "`.{}(...)` is a method call: write `{}(x, ...)`",
                        call.func_name, call.func_name
                    );
                    return Err(self.error(target.id, message));
                }
                let kind = self.call(tree.id, &name(&call.func_name), &call.args, depth + 1)?;
                // A call's own position is that of its parenthesis, an error reads better at its name.
                if let Kind::Call { name, .. } = &kind {
                    let before: String = self.text.chars().take(at).collect();
                    let start =
                        before.trim_end().strip_suffix(name.as_str()).map(|rest| rest.chars().count());
                    at = start.unwrap_or(at);
                }
                // An operator's own position is that of its sign: an error reads better at the start of the operand.
                if let Kind::Binary { left: first, .. }
                | Kind::Index { of: first, .. }
                | Kind::Choose { condition: first, .. } = &kind
                {
                    at = first.at;
                }
                kind
            }
            Cel::List(_) => return Err(self.error(tree.id, "lists are not part of strategy expressions")),
            Cel::Map(_) | Cel::Struct(_) => {
                return Err(self.error(tree.id, "maps are not part of strategy expressions"));
            }
            Cel::Select(_) | Cel::Comprehension(_) | Cel::Unspecified => {
                return Err(self.error(
                    tree.id,
                    "macros (has, all, exists, map, filter) are not part of strategy expressions",
                ));
            }
        };
        Ok(Expr { kind, at })
    }

    fn literal(&self, id: u64, literal: &LiteralValue) -> Result<Kind, ExprError> {
        Ok(match literal {
            LiteralValue::Boolean(flag) => Kind::Flag(*flag.inner()),
            LiteralValue::Double(number) => Kind::Number(*number.inner()),
            LiteralValue::Int(number) => Kind::Number(*number.inner() as f64),
            LiteralValue::UInt(number) => Kind::Number(*number.inner() as f64),
            LiteralValue::String(text) => Kind::Text(text.inner().to_owned()),
            LiteralValue::Bytes(_) | LiteralValue::Null => {
                return Err(self.error(id, "bytes and null are not part of strategy expressions"));
            }
        })
    }

    fn call(&self, id: u64, name: &str, args: &[IdedExpr], depth: usize) -> Result<Kind, ExprError> {
        let binary = |op| -> Result<Kind, ExprError> {
            Ok(Kind::Binary { op, left: self.boxed(&args[0], depth)?, right: self.boxed(&args[1], depth)? })
        };
        match (name, args.len()) {
            (operators::NEGATE, 1) => Ok(match self.expr(&args[0], depth)?.kind {
                Kind::Number(number) => Kind::Number(-number),
                kind => {
                    let of = Box::new(Expr { kind, at: self.at(args[0].id) });
                    Kind::Unary { op: UnaryOp::Negate, of }
                }
            }),
            (operators::LOGICAL_NOT, 1) => {
                Ok(Kind::Unary { op: UnaryOp::Not, of: self.boxed(&args[0], depth)? })
            }
            (operators::ADD, 2) => binary(BinaryOp::Add),
            (operators::SUBSTRACT, 2) => binary(BinaryOp::Subtract),
            (operators::MULTIPLY, 2) => binary(BinaryOp::Multiply),
            (operators::DIVIDE, 2) => binary(BinaryOp::Divide),
            (operators::MODULO, 2) => binary(BinaryOp::Remainder),
            (operators::LESS, 2) => binary(BinaryOp::Less),
            (operators::LESS_EQUALS, 2) => binary(BinaryOp::LessOrEqual),
            (operators::GREATER, 2) => binary(BinaryOp::Greater),
            (operators::GREATER_EQUALS, 2) => binary(BinaryOp::GreaterOrEqual),
            (operators::EQUALS, 2) => binary(BinaryOp::Equal),
            (operators::NOT_EQUALS, 2) => binary(BinaryOp::NotEqual),
            (operators::LOGICAL_AND, 2) => binary(BinaryOp::And),
            (operators::LOGICAL_OR, 2) => binary(BinaryOp::Or),
            (operators::CONDITIONAL, 3) => Ok(Kind::Choose {
                condition: self.boxed(&args[0], depth)?,
                yes: self.boxed(&args[1], depth)?,
                no: self.boxed(&args[2], depth)?,
            }),
            (operators::INDEX, 2) => {
                Ok(Kind::Index { of: self.boxed(&args[0], depth)?, by: self.boxed(&args[1], depth)? })
            }
            (operators::IN, _) => {
                Err(self.error(id, "`in` is not part of strategy expressions: join comparisons with ||"))
            }
            _ if name.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                let args = args.iter().map(|arg| self.expr(arg, depth)).collect::<Result<_, _>>()?;
                Ok(Kind::Call { name: name.to_owned(), args })
            }
            _ => Err(self.error(id, format!("operator `{name}` is not part of strategy expressions"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn an_expression_keeps_its_shape_and_positions() {
        let expr = parse("crosses_above(sma(close, 10), slow[1]) && -x < 2").unwrap();
        let Kind::Binary { op: BinaryOp::And, left, right } = expr.kind else { panic!("{expr:?}") };
        assert!(
            matches!(&left.kind, Kind::Call { name, args } if name == "crosses_above" && args.len() == 2)
        );
        let Kind::Binary { op: BinaryOp::Less, right: two, .. } = right.kind else { panic!("{right:?}") };
        assert_eq!((two.kind, two.at), (Kind::Number(2.0), 47));
    }

    #[test]
    fn a_call_stands_where_its_name_does() {
        let expr = parse("1 + sma (close, 3)").unwrap();
        let Kind::Binary { right, .. } = expr.kind else { panic!("{expr:?}") };
        assert_eq!(right.at, 4);
    }

    #[test]
    fn var_is_a_name_although_cel_reserves_it() {
        let expr = parse("2 * var(close, 3)").unwrap();
        let Kind::Binary { right, .. } = expr.kind else { panic!("{expr:?}") };
        assert!(
            right.at == 4 && matches!(&right.kind, Kind::Call { name, .. } if name == "var"),
            "{right:?}"
        );
        assert_eq!(
            spelled("variance + _var + \"var\" + 'it\\'s var' + vär"),
            "variance + _var + \"var\" + 'it\\'s var' + vär"
        );
        assert_eq!(spelled("(var)"), "(VAR)");
    }

    #[test]
    fn numbers_are_read_as_numbers() {
        for (text, number) in [("1", 1.0), ("0.5", 0.5), ("1e-5", 1e-5), ("-3", -3.0), ("5.33e-05", 5.33e-5)]
        {
            assert_eq!(parse(text).unwrap().kind, Kind::Number(number), "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        assert!(message("close.sma(10)").contains("write `sma(x, ...)`"));
        assert!(message("close >").contains("it ends too early"));
        assert!(message("close > 5 and open < 3").contains("unexpected `and`: write && (column 11"));
        assert!(message("close = 5").contains("unexpected `=`: == compares"));
        assert!(message("close > 3%").contains("0.03 for 3 %"));
        assert!(message("ema(close, 20, 4h)").contains("stands in quotes"));
        assert!(message("close > 1 & open > 2").contains("write &&"));
        assert!(message("close >> 3").contains("unexpected `>` (column 8"));
        assert!(message("not close > 3").contains("write !"));
        assert!(message("close > $x").contains("unexpected `$`"));
        assert!(message("[1, 2]").contains("lists"));
        assert!(message("").contains("empty"));
        assert!(message("hour() in [1]").contains("`in`"));
    }

    #[test]
    fn hostile_lengths_and_depths_are_refused_without_a_crash() {
        let long = vec!["close"; 100_000].join(" + ");
        assert!(message(&long).contains("the limit is 8192"));
        let deep = format!("{}close{}", "(".repeat(4000), ")".repeat(4000));
        assert!(parse(&deep).is_err());
        assert!(parse(&"!".repeat(8000)).is_err());
        assert!(parse(&"-".repeat(8000)).is_err());
        let chain = vec!["a"; 2000].join("+");
        assert!(message(&chain).contains("nests deeper than 100"));
        let calls = format!("{}close{}", "abs(".repeat(1300), ")".repeat(1300));
        assert!(parse(&calls).is_err());
        let ternaries = "a?b:".repeat(1500) + "c";
        assert!(parse(&ternaries).is_err());
        let indices = format!("close{}", "[1]".repeat(2500));
        assert!(parse(&indices).is_err());
        assert!(parse(&vec!["a"; 60].join(" && ")).is_ok());
        let _ = parse(&vec!["a"; 1200].join(" && "));
    }
}
