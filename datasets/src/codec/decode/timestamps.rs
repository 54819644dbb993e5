//! The opens of a row group alone, for those who ask when there are candles and not what they are.

use arrow_array::Array;

use super::{COLUMNS, Footer, Object, timestamps};
use crate::DatasetError;

impl Footer {
    /// Reads the column `timestamp` of a row group, in milliseconds.
    pub(crate) async fn read_opens(
        &self,
        object: &Object,
        group: usize,
        first_row: usize,
    ) -> Result<Vec<i64>, DatasetError> {
        let (name, leaf) = (COLUMNS[0], self.columns[0]);
        let range = self.chunk_range(object, name, group, leaf)?;
        let bytes = object.bytes(range.clone()).await?;
        let array = self.chunk_values(object, name, group, leaf, range.start, bytes)?;
        if let Some(row) = (0..array.len()).find(|&row| array.is_null(row)) {
            let row = first_row + row + 1;
            return Err(DatasetError::Null { file: object.file.clone(), column: name.to_owned(), row });
        }
        let mut opens = Vec::with_capacity(array.len());
        timestamps(&array, &object.file, first_row, &mut opens)?;
        Ok(opens)
    }
}
