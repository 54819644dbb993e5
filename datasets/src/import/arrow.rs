//! Arrow IPC, read as a stream: a file (Feather) is a stream behind eight bytes, with an index that is not needed.

use std::io::Read;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::{MessageHeader, root_as_message};
use arrow_schema::Schema;

use super::ImportError;
use super::source::{Stream, read_full};
use super::table::{Table, guarded};
use crate::error::FileRow;

pub(crate) const FILE_MAGIC: &[u8] = b"ARROW1";

/// What a stream begins with; those of before 2019 begin with a length.
pub(crate) const CONTINUATION: [u8; 4] = [0xff; 4];

const MAX_HEADER: usize = 16 << 20;

/// A batch holds one message in memory; pyarrow and polars write some ten thousand rows into one.
const MAX_BODY: u64 = 1 << 30;

/// The batches of an IPC stream.
pub(crate) struct ArrowTable {
    file: String,
    input: Stream,
    decoder: StreamDecoder,
    schema: Schema,
    /// The decoder hands out the first batch together with the schema.
    pending: Option<RecordBatch>,
    rows: usize,
    ended: bool,
}

impl ArrowTable {
    /// Reads the schema.
    pub(crate) fn open(file: &str, mut input: Stream, is_file: bool) -> Result<Self, ImportError> {
        if is_file {
            let mut magic = [0; 8];
            read_full(&mut input, &mut magic).map_err(|e| ImportError::io(file, &e))?;
        }
        let decoder = StreamDecoder::new();
        let mut table = Self {
            file: file.to_owned(),
            input,
            decoder,
            schema: Schema::empty(),
            pending: None,
            rows: 0,
            ended: false,
        };
        while table.decoder.schema().is_none() && !table.ended {
            table.pending = table.message()?;
        }
        let schema = table.decoder.schema().ok_or_else(|| table.damaged("it has no schema"))?;
        table.schema = schema.as_ref().clone();
        Ok(table)
    }

    fn damaged(&self, message: impl Into<String>) -> ImportError {
        ImportError::Damaged {
            file: self.file.clone(),
            place: if self.rows == 0 { FileRow::Whole } else { FileRow::Row(self.rows + 1) },
            message: message.into(),
        }
    }

    /// Reads one message and decodes it.
    fn message(&mut self) -> Result<Option<RecordBatch>, ImportError> {
        let mut prefix = [0; 4];
        let mut read = self.fill(&mut prefix)?;
        // Before the schema a file is padded with zeros, to 8 bytes or 64.
        let mut padding = 0;
        while read == 4 && prefix == [0; 4] && self.decoder.schema().is_none() && padding < 16 {
            read = self.fill(&mut prefix)?;
            padding += 1;
        }
        if read == 4 && prefix == CONTINUATION {
            read = self.fill(&mut prefix)?;
        }
        let length = u32::from_le_bytes(prefix) as usize;
        if read == 0 || (read == 4 && length == 0) {
            self.ended = true;
            return Ok(None);
        }
        if read < 4 || length > MAX_HEADER {
            return Err(self.damaged("a message has no length that can be"));
        }
        let mut bytes = length.to_le_bytes()[..4].to_vec();
        self.append(&mut bytes, length as u64)?;
        let body = self.check_header(&bytes[4..])?;
        let body_at = bytes.len();
        self.append(&mut bytes, body)?;
        self.check_buffers(&bytes[4..body_at], &bytes[body_at..])?;
        let mut buffer = Buffer::from_vec(bytes);
        let decoder = &mut self.decoder;
        let found = guarded(|| {
            let found = decoder.decode(&mut buffer)?;
            Ok::<_, arrow_schema::ArrowError>(found)
        });
        found.map_err(|message| self.damaged(message))
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, ImportError> {
        read_full(&mut self.input, buffer).map_err(|e| ImportError::io(&self.file, &e))
    }

    /// Appends as many bytes as there are, so that a length that lies takes no memory.
    fn append(&mut self, bytes: &mut Vec<u8>, length: u64) -> Result<(), ImportError> {
        let read =
            (&mut self.input).take(length).read_to_end(bytes).map_err(|e| ImportError::io(&self.file, &e))?;
        if (read as u64) < length {
            return Err(self.damaged("it ends in the middle: it was cut off"));
        }
        Ok(())
    }

    fn check_header(&self, header: &[u8]) -> Result<u64, ImportError> {
        let message =
            root_as_message(header).map_err(|e| self.damaged(format!("a message cannot be read: {e}")))?;
        match u64::try_from(message.bodyLength()) {
            Ok(length) if length <= MAX_BODY => Ok(length),
            _ => Err(self.damaged(format!(
                "a batch of {} bytes is more than is read at once: write it in smaller batches",
                message.bodyLength()
            ))),
        }
    }

    /// Compressed buffers say how long they become: what cannot be is refused before memory is taken for it.
    fn check_buffers(&self, header: &[u8], body: &[u8]) -> Result<(), ImportError> {
        let message = root_as_message(header).map_err(|e| self.damaged(e.to_string()))?;
        let batch = match message.header_type() {
            MessageHeader::RecordBatch => message.header_as_record_batch(),
            MessageHeader::DictionaryBatch => message.header_as_dictionary_batch().and_then(|d| d.data()),
            _ => None,
        };
        let Some(batch) = batch else { return Ok(()) };
        let rows = u64::try_from(batch.length()).unwrap_or(u64::MAX);
        if rows > MAX_BODY {
            return Err(self.damaged(format!("a batch claims {} rows", batch.length())));
        }
        let mut unpacked = 0_u64;
        for buffer in batch.buffers().into_iter().flatten() {
            let range = u64::try_from(buffer.offset())
                .ok()
                .zip(u64::try_from(buffer.length()).ok())
                .and_then(|(offset, length)| Some((offset, offset.checked_add(length)?)))
                .filter(|(_, end)| *end <= body.len() as u64)
                .ok_or_else(|| self.damaged("a column lies outside its batch"))?;
            if batch.compression().is_none() {
                continue;
            }
            let start = range.0 as usize;
            let length = body.get(start..start + 8).and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
            let length = length.filter(|_| range.1 - range.0 >= 8).map_or(0, i64::from_le_bytes);
            unpacked = unpacked.saturating_add(u64::try_from(length).unwrap_or(0));
        }
        if unpacked > MAX_BODY {
            return Err(self.damaged(format!("a batch claims to unpack to {unpacked} bytes")));
        }
        Ok(())
    }
}

impl Table for ArrowTable {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn next(&mut self) -> Result<Option<RecordBatch>, ImportError> {
        while self.pending.is_some() || !self.ended {
            let batch = match self.pending.take() {
                Some(batch) => Some(batch),
                None => self.message()?,
            };
            if let Some(batch) = batch {
                self.rows += batch.num_rows();
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }
}
