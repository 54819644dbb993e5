//! The opens of a row group alone, for those who ask when there are candles and not what they are.

use arrow_array::Array;

use super::{COLUMNS, Chunk, Footer, Object, chunk_sum, timestamps};
use crate::DatasetError;

impl Footer {
    /// Reads the column `timestamp` of a row group, in milliseconds.
    pub(crate) async fn read_opens(
        &self,
        object: &Object,
        group: usize,
        first_row: usize,
    ) -> Result<Vec<i64>, DatasetError> {
        let corrupt = |message: String| DatasetError::CorruptPage {
            file: object.file.clone(),
            column: COLUMNS[0].to_owned(),
            row_group: group,
            message,
        };
        let leaf = self.columns[0];
        let chunk = self.metadata.metadata().row_group(group).column(leaf);
        let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
        let range = u64::try_from(start)
            .ok()
            .zip(u64::try_from(chunk.compressed_size()).ok())
            .and_then(|(start, len)| Some(start..start.checked_add(len)?))
            .filter(|range| range.end <= object.size && range.start < range.end)
            .ok_or_else(|| corrupt("it lies outside the file".to_owned()))?;
        let bytes = object.bytes(range.clone()).await?;
        let sum = self.sums.as_ref().and_then(|groups| groups.get(group)?.get(leaf));
        if sum.is_some_and(|sum| *sum != chunk_sum(&bytes)) {
            return Err(corrupt("its SHA-256 is not the one in the footer".to_owned()));
        }
        let chunk = Chunk { start: range.start, bytes, size: object.size };
        let array = self.decode(chunk, group, leaf).map_err(corrupt)?;
        if let Some(row) = (0..array.len()).find(|&row| array.is_null(row)) {
            let row = first_row + row + 1;
            return Err(DatasetError::Null { file: object.file.clone(), column: COLUMNS[0].to_owned(), row });
        }
        let mut opens = Vec::with_capacity(array.len());
        timestamps(&array, &object.file, first_row, &mut opens)?;
        Ok(opens)
    }
}
