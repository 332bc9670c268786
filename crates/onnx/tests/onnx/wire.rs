//! Protocol Buffers by hand, so that tests can write what no encoder would.

/// A number, seven bits a byte.
pub(crate) fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A number in a field.
pub(crate) fn int(tag: u64, value: i64) -> Vec<u8> {
    [varint(tag << 3), varint(value as u64)].concat()
}

/// Bytes, a string or a message in a field.
pub(crate) fn bytes(tag: u64, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    [
        &varint(tag << 3 | 2),
        &varint(content.len() as u64),
        content,
    ]
    .concat()
}

/// A model of nothing but a graph of these fields.
pub(crate) fn model(graph_fields: &[Vec<u8>]) -> Vec<u8> {
    bytes(7, graph_fields.concat())
}

/// A graph's node of these fields.
pub(crate) fn node(fields: &[Vec<u8>]) -> Vec<u8> {
    bytes(1, fields.concat())
}

/// A graph's initializer `w` of this type and shape and these further fields.
pub(crate) fn initializer(dtype: i64, dims: &[i64], fields: &[Vec<u8>]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|dim| int(1, *dim)).collect();
    bytes(
        5,
        [dims, int(2, dtype), bytes(8, "w"), fields.concat()].concat(),
    )
}

/// A tensor's fields that say where its data is.
pub(crate) fn external(entries: &[(&str, &str)]) -> Vec<u8> {
    let entry = |(key, value): &(&str, &str)| bytes(13, [bytes(1, key), bytes(2, value)].concat());
    let entries: Vec<u8> = entries.iter().flat_map(entry).collect();
    [entries, int(14, 1)].concat()
}
