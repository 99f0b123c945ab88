//! Arrow arrays as numbers, texts and rows of numbers.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, OffsetSizeTrait};
use arrow_buffer::ArrowNativeType;
use arrow_cast::cast;
use arrow_schema::DataType;

use super::{AtRow, arrow_fault};
use crate::column::{MISSING, Numbers, TextColumn};
use crate::error::{Fault, printable};
use crate::list::check_width;
use crate::number::{self, BLANK};

/// The array as f64, nulls as [`BLANK`]; zero copy for f64 without nulls.
pub(super) fn numbers(array: &ArrayRef, name: &str) -> Result<Numbers, AtRow> {
    use DataType as D;
    Ok(match array.data_type() {
        D::Float64 if array.null_count() == 0 => {
            array.as_primitive::<Float64Type>().values().clone().into()
        }
        D::Float64 => widen::<Float64Type>(array, |x| x),
        D::Float32 => widen::<Float32Type>(array, f64::from),
        D::Float16 => widen::<Float16Type>(array, f64::from),
        D::Int8 => widen::<Int8Type>(array, f64::from),
        D::Int16 => widen::<Int16Type>(array, f64::from),
        D::Int32 => widen::<Int32Type>(array, f64::from),
        D::UInt8 => widen::<UInt8Type>(array, f64::from),
        D::UInt16 => widen::<UInt16Type>(array, f64::from),
        D::UInt32 => widen::<UInt32Type>(array, f64::from),
        D::Int64 => exact::<Int64Type>(array, name, |x| (x as f64, i128::from(x)))?,
        D::UInt64 => exact::<UInt64Type>(array, name, |x| (x as f64, i128::from(x)))?,
        D::Boolean => {
            let array = array.as_boolean();
            array.iter().map(|b| b.map_or(BLANK, f64::from)).collect::<Vec<f64>>().into()
        }
        D::Null => vec![BLANK; array.len()].into(),
        D::Dictionary(_, values) => {
            let plain = cast(array, values).map_err(|e| (0, arrow_fault(&e)))?;
            return numbers(&plain, name);
        }
        D::Utf8 | D::LargeUtf8 | D::Utf8View => return parsed(array, name),
        // Through text, so that the result is correctly rounded.
        D::Decimal32(..) | D::Decimal64(..) | D::Decimal128(..) | D::Decimal256(..) => {
            return parsed(array, name);
        }
        other => return Err((0, refused(name, other, "numbers"))),
    })
}

fn refused(name: &str, data_type: &DataType, wanted: &str) -> Fault {
    Fault::new(format!("column {} is {}, not {wanted}", printable(name), type_name(data_type)))
        .column(name)
}

/// A person's word for an Arrow type.
fn type_name(data_type: &DataType) -> String {
    use DataType as D;
    match data_type {
        D::List(_) | D::LargeList(_) | D::FixedSizeList(..) => "a list".into(),
        D::ListView(_) | D::LargeListView(_) => "a list view".into(),
        D::Struct(_) | D::Map(..) | D::Union(..) => "a nested structure".into(),
        D::Date32 | D::Date64 => "a date".into(),
        D::Timestamp(..) | D::Time32(_) | D::Time64(_) => "a time".into(),
        D::Binary | D::LargeBinary | D::BinaryView | D::FixedSizeBinary(_) => "binary data".into(),
        t if kind_word(t).is_some() => kind_word(t).unwrap_or_default().into(),
        other => format!("of type {other}"),
    }
}

fn kind_word(data_type: &DataType) -> Option<&'static str> {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some("text"),
        DataType::Boolean => Some("true or false"),
        t if t.is_numeric() => Some("a number"),
        _ => None,
    }
}

fn widen<T: ArrowPrimitiveType>(array: &ArrayRef, f: impl Fn(T::Native) -> f64) -> Numbers {
    let array = array.as_primitive::<T>();
    let values: Vec<f64> = match array.nulls() {
        None => array.values().iter().map(|x| f(*x)).collect(),
        Some(_) => array.iter().map(|x| x.map_or(BLANK, &f)).collect(),
    };
    values.into()
}

/// 64-bit integers, refused where f64 cannot hold them.
fn exact<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    name: &str,
    f: impl Fn(T::Native) -> (f64, i128),
) -> Result<Numbers, AtRow> {
    let array = array.as_primitive::<T>();
    let mut values = Vec::with_capacity(array.len());
    for (row, x) in array.iter().enumerate() {
        let Some(x) = x else {
            values.push(BLANK);
            continue;
        };
        let (float, integer) = f(x);
        if float as i128 != integer {
            let fault = Fault::new(format!(
                "column {} is {integer}, an integer that a 64-bit number cannot hold exactly",
                printable(name)
            ));
            return Err((row, fault.column(name).hint("integers up to 2^53 are exact")));
        }
        values.push(float);
    }
    Ok(values.into())
}

/// Text parsed as numbers.
fn parsed(array: &ArrayRef, name: &str) -> Result<Numbers, AtRow> {
    let texts = text(array, name)?;
    let mut values = Vec::with_capacity(texts.len());
    for (row, text) in texts.iter().enumerate() {
        let x = number::parse(text.unwrap_or("").as_bytes()).map_err(|e| {
            let fault = Fault::new(format!("column {} {}", printable(name), e.message));
            (row, Fault { hint: e.hint, ..fault.column(name) })
        })?;
        values.push(x);
    }
    Ok(values.into())
}

/// The array as text.
pub(super) fn text(array: &ArrayRef, name: &str) -> Result<TextColumn, AtRow> {
    use DataType as D;
    let cast_to_text = |array: &ArrayRef| cast(array, &D::Utf8).map_err(|e| (0, arrow_fault(&e)));
    Ok(match array.data_type() {
        D::Utf8 => TextColumn::from_arrow(array.clone()),
        D::LargeUtf8 | D::Utf8View => TextColumn::from_arrow(cast_to_text(array)?),
        D::Dictionary(_, values) if is_text(values) => dictionary(array)?,
        D::Dictionary(_, values) => {
            let plain = cast(array, values).map_err(|e| (0, arrow_fault(&e)))?;
            return text(&plain, name);
        }
        D::Float64 => from_numbers(&widen::<Float64Type>(array, |x| x)),
        D::Float16 => printed::<Float16Type>(array, |x| number::text_of(f64::from(x))),
        // The shortest form that reads back as the same f32.
        D::Float32 => printed::<Float32Type>(array, |x| {
            if x.trunc() == x { number::text_of(f64::from(x)) } else { format!("{x:?}") }
        }),
        D::Null => (0..array.len()).map(|_| None).collect(),
        t if t.is_integer() || t.is_temporal() || *t == D::Boolean => {
            TextColumn::from_arrow(cast_to_text(array)?)
        }
        D::Decimal32(..) | D::Decimal64(..) | D::Decimal128(..) | D::Decimal256(..) => {
            TextColumn::from_arrow(cast_to_text(array)?)
        }
        other => return Err((0, refused(name, other, "text"))),
    })
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn from_numbers(numbers: &[f64]) -> TextColumn {
    let mut column = TextColumn::default();
    for x in numbers {
        let text = (!x.is_nan()).then(|| number::text_of(*x));
        column.push(text.as_deref());
    }
    column
}

fn printed<T: ArrowPrimitiveType>(array: &ArrayRef, f: impl Fn(T::Native) -> String) -> TextColumn {
    let mut column = TextColumn::default();
    for x in array.as_primitive::<T>() {
        let text = x.map(&f).filter(|text| text != "NaN");
        column.push(text.as_deref());
    }
    column
}

/// A dictionary of texts: kept as codes unless its values outnumber the rows.
fn dictionary(array: &ArrayRef) -> Result<TextColumn, AtRow> {
    let failed = |e| (0, arrow_fault(&e));
    let any = array.as_any_dictionary();
    let values = any.values();
    if values.len() > array.len() && values.data_type() != &DataType::Utf8 {
        let plain = cast(array, &DataType::Utf8).map_err(failed)?;
        return Ok(TextColumn::from_arrow(plain));
    }
    let values = cast(values, &DataType::Utf8).map_err(failed)?;
    let keys = cast(any.keys(), &DataType::UInt32).map_err(failed)?;
    let keys = keys.as_primitive::<UInt32Type>();
    let largest = keys.values().iter().fold(0, |largest, key| largest.max(*key));
    let are_known = (largest as usize) < values.len() && values.null_count() == 0;
    let codes = if are_known && keys.null_count() == 0 {
        keys.values().to_vec()
    } else {
        let known = |key: u32| (key as usize) < values.len() && values.is_valid(key as usize);
        keys.iter().map(|key| key.filter(|key| known(*key)).unwrap_or(MISSING)).collect()
    };
    Ok(TextColumn::from_dictionary(codes, values))
}

/// The width of the first list that is not null.
pub(super) fn first_width(array: &ArrayRef) -> Option<usize> {
    fn of<O: OffsetSizeTrait>(array: &ArrayRef) -> Option<usize> {
        let array = array.as_list::<O>();
        let row = (0..array.len()).find(|i| array.is_valid(*i))?;
        Some(array.value_length(row).as_usize())
    }
    match array.data_type() {
        DataType::List(_) => of::<i32>(array),
        DataType::LargeList(_) => of::<i64>(array),
        DataType::FixedSizeList(_, n) => usize::try_from(*n).ok(),
        _ => None,
    }
}

/// The array's lists as rows of `want` numbers each: the width and the numbers, row-major.
pub(super) fn lists(
    array: &ArrayRef,
    name: &str,
    want: Option<usize>,
) -> Result<(usize, Numbers), AtRow> {
    match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let range = |row: usize| {
                (list.value_offsets()[row].as_usize(), list.value_length(row).as_usize())
            };
            rows(array, list.values(), range, name, want)
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let range = |row: usize| {
                (list.value_offsets()[row].as_usize(), list.value_length(row).as_usize())
            };
            rows(array, list.values(), range, name, want)
        }
        DataType::FixedSizeList(_, n) => {
            let list = array.as_fixed_size_list();
            let n = usize::try_from(*n).unwrap_or(0);
            rows(array, list.values(), |row| (list.value_offset_at(row), n), name, want)
        }
        other => Err((0, refused(name, other, "a list of numbers"))),
    }
}

fn rows(
    array: &ArrayRef,
    child: &ArrayRef,
    range: impl Fn(usize) -> (usize, usize),
    name: &str,
    want: Option<usize>,
) -> Result<(usize, Numbers), AtRow> {
    let width = want.unwrap_or(0);
    for row in 0..array.len() {
        if array.is_valid(row) {
            check_width(range(row).1, name, want).map_err(|fault| (row, fault))?;
        }
    }
    let at_row = |first: usize| move |(i, fault): AtRow| (first + i / width.max(1), fault);
    if array.null_count() == 0 && !array.is_empty() {
        let (start, _) = range(0);
        let values = numbers(&child.slice(start, array.len() * width), name).map_err(at_row(0))?;
        return Ok((width, values));
    }
    let mut values = Vec::with_capacity(array.len() * width);
    for row in 0..array.len() {
        if array.is_valid(row) {
            let (start, len) = range(row);
            values
                .extend_from_slice(&numbers(&child.slice(start, len), name).map_err(at_row(row))?);
        } else {
            values.resize(values.len() + width, BLANK);
        }
    }
    Ok((width, values.into()))
}
