//! A cursor over untrusted bytes: every read is checked and says what it wanted.

use bytes::Bytes;

use crate::error::ConvertError;

pub(super) struct Reader<'a> {
    data: &'a Bytes,
    position: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(data: &'a Bytes) -> Self {
        Reader { data, position: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// What was read since `start`, sharing the file's memory.
    pub(super) fn since(&self, start: usize) -> Bytes {
        self.data.slice(start.min(self.position)..self.position)
    }

    pub(super) fn bytes(&mut self, len: usize, what: &str) -> Result<&'a [u8], ConvertError> {
        let rest = self.data.get(self.position..).unwrap_or_default();
        let bytes = rest.get(..len).ok_or_else(|| {
            ConvertError::damaged(format!(
                "gguf file ends in {what}: {len} bytes wanted at {}, {} left; the file is cut off, fetch it again",
                self.position,
                rest.len()
            ))
        })?;
        self.position += len;
        Ok(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], ConvertError> {
        let mut out = [0; N];
        out.copy_from_slice(self.bytes(N, what)?);
        Ok(out)
    }

    pub(super) fn u32(&mut self, what: &str) -> Result<u32, ConvertError> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    pub(super) fn u64(&mut self, what: &str) -> Result<u64, ConvertError> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// A length that must fit in memory; whether it fits in the file is found on reading.
    pub(super) fn length(&mut self, what: &str) -> Result<usize, ConvertError> {
        let length = self.u64(what)?;
        usize::try_from(length).map_err(|_| {
            ConvertError::damaged(format!(
                "gguf file has an absurd length in {what}: {length}"
            ))
        })
    }

    /// A short, non-empty UTF-8 string: a key or a tensor's name.
    pub(super) fn name(
        &mut self,
        max: usize,
        what: impl Fn() -> String,
    ) -> Result<String, ConvertError> {
        let len = self.length("a name")?;
        if len == 0 || len > max {
            return Err(ConvertError::damaged(format!(
                "gguf {} has a name of {len} bytes; 1 to {max} are possible",
                what()
            )));
        }
        let bytes = self.bytes(len, "a name")?;
        let name = std::str::from_utf8(bytes)
            .map_err(|_| ConvertError::damaged(format!("gguf {} is not utf-8", what())))?;
        Ok(name.to_owned())
    }
}
