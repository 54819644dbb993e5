//! Arrow arrays as times and numbers.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, Float32Type,
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit as ArrowUnit};

use super::number::NumberStyle;
use super::time::TimeUnit;

/// Whether a type is a number that can be a price.
pub(crate) fn is_number(kind: &DataType) -> bool {
    kind.is_integer() || matches!(kind, DataType::Float32 | DataType::Float64) || kind.is_decimal()
}

/// Whether a type is a text.
pub(crate) fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, values) => is_text(values),
        _ => matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View),
    }
}

/// Whether a type is a moment.
pub(crate) fn is_time(kind: &DataType) -> bool {
    unit_of(kind).is_some()
}

/// What a type of moments counts.
pub(crate) fn unit_of(kind: &DataType) -> Option<TimeUnit> {
    match kind {
        DataType::Timestamp(ArrowUnit::Second, _) | DataType::Date32 => Some(TimeUnit::Seconds),
        DataType::Timestamp(ArrowUnit::Millisecond, _) | DataType::Date64 => Some(TimeUnit::Millis),
        DataType::Timestamp(ArrowUnit::Microsecond, _) => Some(TimeUnit::Micros),
        DataType::Timestamp(ArrowUnit::Nanosecond, _) => Some(TimeUnit::Nanos),
        _ => None,
    }
}

/// Whole numbers of a column of times, in its unit.
pub(crate) fn epochs(array: &ArrayRef) -> Result<Vec<Option<i64>>, String> {
    macro_rules! of {
        ($kind:ty) => {
            array.as_primitive::<$kind>().iter().map(|v| v.map(|v| v as i64)).collect()
        };
    }
    Ok(match array.data_type() {
        DataType::Timestamp(ArrowUnit::Second, _) => of!(TimestampSecondType),
        DataType::Timestamp(ArrowUnit::Millisecond, _) => of!(TimestampMillisecondType),
        DataType::Timestamp(ArrowUnit::Microsecond, _) => of!(TimestampMicrosecondType),
        DataType::Timestamp(ArrowUnit::Nanosecond, _) => of!(TimestampNanosecondType),
        DataType::Date32 => array
            .as_primitive::<Date32Type>()
            .iter()
            .map(|v| v.map(|days| i64::from(days) * 86_400))
            .collect(),
        DataType::Date64 => of!(Date64Type),
        DataType::Int64 => of!(Int64Type),
        DataType::Int32 => of!(Int32Type),
        DataType::UInt32 => of!(UInt32Type),
        DataType::UInt64 => array
            .as_primitive::<UInt64Type>()
            .iter()
            .map(|v| v.map(|v| i64::try_from(v).map_err(|_| format!("{v} is out of range"))).transpose())
            .collect::<Result<_, _>>()?,
        DataType::Float64 => array
            .as_primitive::<Float64Type>()
            .iter()
            .map(|v| {
                let whole = |v: f64| {
                    let fits = v.fract() == 0.0 && v.abs() < 9e18;
                    if fits { Ok(v as i64) } else { Err(format!("{v} is no whole number")) }
                };
                v.map(whole).transpose()
            })
            .collect::<Result<_, _>>()?,
        other => return Err(format!("a time cannot be {other}")),
    })
}

/// The texts of a column.
pub(crate) fn texts(array: &ArrayRef) -> Result<Vec<Option<String>>, String> {
    let own = |text: Option<&str>| text.map(str::to_owned);
    Ok(match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().iter().map(own).collect(),
        DataType::LargeUtf8 => array.as_string::<i64>().iter().map(own).collect(),
        DataType::Utf8View => array.as_string_view().iter().map(own).collect(),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let values = texts(dictionary.values())?;
            let keys = dictionary.normalized_keys();
            let value = |(row, key): (usize, usize)| {
                if array.is_null(row) { None } else { values.get(key).cloned().flatten() }
            };
            keys.into_iter().enumerate().map(value).collect()
        }
        other => return Err(format!("a text cannot be {other}")),
    })
}

/// Appends a column's numbers, NaN for null. A text that is none is returned with its row.
pub(crate) fn numbers(array: &ArrayRef, out: &mut Vec<f64>) -> Result<(), (usize, String)> {
    macro_rules! of {
        ($kind:ty) => {
            out.extend(array.as_primitive::<$kind>().iter().map(|v| v.map_or(f64::NAN, |v| v as f64)))
        };
    }
    macro_rules! decimal {
        ($kind:ty) => {{
            let array = array.as_primitive::<$kind>();
            for row in 0..array.len() {
                // The nearest double of the decimal as it is written.
                let value =
                    if array.is_null(row) { Ok(f64::NAN) } else { array.value_as_string(row).parse() };
                out.push(value.map_err(|_| (row, array.value_as_string(row)))?);
            }
        }};
    }
    match array.data_type() {
        DataType::Float64 => of!(Float64Type),
        DataType::Float32 => of!(Float32Type),
        DataType::Int8 => of!(Int8Type),
        DataType::Int16 => of!(Int16Type),
        DataType::Int32 => of!(Int32Type),
        DataType::Int64 => of!(Int64Type),
        DataType::UInt8 => of!(UInt8Type),
        DataType::UInt16 => of!(UInt16Type),
        DataType::UInt32 => of!(UInt32Type),
        DataType::UInt64 => of!(UInt64Type),
        DataType::Decimal32(..) => decimal!(Decimal32Type),
        DataType::Decimal64(..) => decimal!(Decimal64Type),
        DataType::Decimal128(..) => decimal!(Decimal128Type),
        DataType::Decimal256(..) => decimal!(Decimal256Type),
        _ => {
            let texts = texts(array).map_err(|message| (0, message))?;
            for (row, text) in texts.into_iter().enumerate() {
                let text = text.unwrap_or_default();
                let value = NumberStyle::default().parse(text.trim());
                out.push(value.ok_or_else(|| (row, text.chars().take(60).collect()))?);
            }
        }
    }
    Ok(())
}
