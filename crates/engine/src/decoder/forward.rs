//! One forward pass: rows of several sequences through every layer.

use inhouse_kernels::{AttentionShape, KvPage, QueryRow};

use super::apply::{Machine, Rows, resized};
use super::product::Product;
use super::{Attention, Decoder, Layer, Mlp, Shape};
use crate::cancel::Cancel;
use crate::error::EngineError;
use crate::kv::{KvCache, PAGE_TOKENS};
use crate::weights::Norm;

/// New tokens of one sequence.
pub(crate) struct Chunk<'a> {
    pub(crate) ids: &'a [u32],
    pub(crate) cache: &'a mut KvCache,
    /// Which side of LongRoPE's original length the whole sequence is on.
    pub(crate) long: bool,
    /// Rows from this one on get logits.
    pub(crate) logits_from: usize,
}

/// Buffers that forwards reuse.
#[derive(Default)]
pub(crate) struct Scratch {
    hidden: Vec<f32>,
    branch: Vec<f32>,
    normed: Rows,
    qkv: Vec<f32>,
    query: Vec<f32>,
    attended: Rows,
    gated: Rows,
    spare: Vec<f32>,
    cos: Vec<f32>,
    sin: Vec<f32>,
    logits: Vec<f32>,
}

/// One row of a forward.
#[derive(Clone, Copy)]
struct Row {
    sequence: usize,
    position: usize,
    long: bool,
}

impl Decoder {
    /// Runs `chunks` and returns the logits of the rows that asked for them, [rows, vocab], in order.
    ///
    /// Ids must be below the vocabulary's size and positions within the context: callers check both.
    ///
    /// # Errors
    /// Only [`crate::ErrorKind::Cancelled`]; the caches then are as before.
    pub(crate) fn forward<'s>(
        &self,
        machine: &Machine,
        scratch: &'s mut Scratch,
        chunks: &mut [Chunk<'_>],
        cancel: &Cancel,
    ) -> Result<&'s [f32], EngineError> {
        let _awake = machine.pool.awake();
        let rows = rows_of(chunks);
        for chunk in chunks.iter_mut() {
            chunk.cache.reserve(chunk.ids.len());
        }
        let ids: Vec<u32> = chunks.iter().flat_map(|chunk| chunk.ids).copied().collect();
        self.embedding.gather(
            machine,
            &ids,
            resized(&mut scratch.hidden, ids.len() * self.shape.hidden),
        );
        let wanted = wanted(chunks);
        let mut pass = Pass {
            machine,
            decoder: self,
            rows,
        };
        for (index, layer) in self.layers.iter().enumerate() {
            if cancel.is_cancelled() {
                return Err(EngineError::cancelled());
            }
            pass.keys_and_values(index, layer, scratch, chunks);
            // Keys and values of every row stay for later tokens; what else the last layer makes of a row is
            // needed only where logits are wanted.
            if index + 1 == self.layers.len() {
                pass.keep(&wanted, scratch);
            }
            if !pass.rows.is_empty() {
                pass.attention(index, layer, scratch, chunks);
                pass.feed_forward(layer, scratch);
            }
        }
        for chunk in chunks.iter_mut() {
            chunk.cache.commit(chunk.ids.len());
        }
        Ok(self.logits(machine, scratch, wanted.len()))
    }

    /// The logits of the rows that are left, [rows, vocab].
    fn logits<'s>(&self, machine: &Machine, scratch: &'s mut Scratch, rows: usize) -> &'s [f32] {
        let hidden = self.shape.hidden;
        let Scratch {
            hidden: stream,
            normed,
            spare,
            logits,
            ..
        } = scratch;
        let kernels = machine.kernels;
        machine
            .pool
            .chunks_mut(normed.fill(rows * hidden), hidden, |i, out| {
                self.final_norm
                    .apply(kernels, &stream[i * hidden..][..hidden], out)
            });
        let logits = resized(logits, rows * self.shape.vocab);
        if rows > 0 {
            self.head.apply(machine, normed, spare, logits);
        }
        if let Some(cap) = self.logit_softcap {
            machine.pool.chunks_mut(logits, self.shape.vocab, |_, row| {
                row.iter_mut().for_each(|x| *x = (*x / cap).tanh() * cap)
            });
        }
        logits
    }
}

/// The rows that logits are wanted of.
fn wanted(chunks: &[Chunk<'_>]) -> Vec<usize> {
    let mut first = 0;
    let mut wanted = Vec::new();
    for chunk in chunks {
        let end = first + chunk.ids.len();
        wanted.extend(first + chunk.logits_from.min(chunk.ids.len())..end);
        first = end;
    }
    wanted
}

fn rows_of(chunks: &[Chunk<'_>]) -> Vec<Row> {
    let of = |(sequence, chunk): (usize, &Chunk<'_>)| {
        let (first, long) = (chunk.cache.len(), chunk.long);
        (0..chunk.ids.len()).map(move |i| Row {
            sequence,
            position: first + i,
            long,
        })
    };
    chunks.iter().enumerate().flat_map(of).collect()
}

/// What the steps of a forward have in common.
struct Pass<'a> {
    machine: &'a Machine,
    decoder: &'a Decoder,
    rows: Vec<Row>,
}

impl Pass<'_> {
    /// Queries, keys and values of every row, in `scratch.qkv`; keys and values also in the caches.
    fn keys_and_values(
        &self,
        index: usize,
        layer: &Layer,
        scratch: &mut Scratch,
        chunks: &mut [Chunk<'_>],
    ) {
        let shape = &self.decoder.shape;
        self.norm_rows(&layer.input_norm, &scratch.hidden, &mut scratch.normed);
        let qkv = resized(&mut scratch.qkv, self.rows.len() * shape.qkv());
        layer
            .attention
            .qkv
            .apply(self.machine, &mut scratch.normed, &mut scratch.spare, qkv);
        self.rotate(&layer.attention, scratch);
        let (queries, keys) = (
            shape.heads * shape.head_dim,
            shape.kv_heads * shape.head_dim,
        );
        for (row, qkv) in self.rows.iter().zip(scratch.qkv.chunks_exact(shape.qkv())) {
            let (key, value) = qkv[queries..].split_at(keys);
            chunks[row.sequence]
                .cache
                .write(self.machine.kernels, index, row.position, key, value);
        }
    }

    /// Leaves only these rows, which are in order.
    fn keep(&mut self, wanted: &[usize], scratch: &mut Scratch) {
        let Shape { hidden, .. } = self.decoder.shape;
        let qkv = self.decoder.shape.qkv();
        for (to, &from) in wanted.iter().enumerate() {
            self.rows[to] = self.rows[from];
            let stream = from * hidden..(from + 1) * hidden;
            scratch.hidden.copy_within(stream, to * hidden);
            scratch
                .qkv
                .copy_within(from * qkv..(from + 1) * qkv, to * qkv);
        }
        self.rows.truncate(wanted.len());
        scratch.hidden.truncate(wanted.len() * hidden);
        scratch.qkv.truncate(wanted.len() * qkv);
    }

    fn attention(&self, index: usize, layer: &Layer, scratch: &mut Scratch, chunks: &[Chunk<'_>]) {
        let (shape, rows) = (&self.decoder.shape, self.rows.len());
        let queries = shape.heads * shape.head_dim;
        let query = resized(&mut scratch.query, rows * queries);
        for (out, qkv) in query
            .chunks_exact_mut(queries)
            .zip(scratch.qkv.chunks_exact(shape.qkv()))
        {
            out.copy_from_slice(&qkv[..queries]);
        }
        let attended = scratch.attended.fill(rows * queries);
        self.attend(index, &layer.attention, &scratch.query, chunks, attended);
        let Scratch {
            hidden,
            branch,
            attended,
            spare,
            ..
        } = scratch;
        let (output, norm) = (&layer.attention.output, &layer.attention_branch_norm);
        self.add(output, norm.as_ref(), attended, hidden, branch, spare);
    }

    fn feed_forward(&self, layer: &Layer, scratch: &mut Scratch) {
        self.norm_rows(&layer.mlp_norm, &scratch.hidden, &mut scratch.normed);
        let Scratch {
            hidden,
            branch,
            normed,
            gated,
            spare,
            ..
        } = scratch;
        let out = gated.fill(self.rows.len() * layer.mlp.width());
        let Mlp {
            gate_up,
            activation,
            down,
        } = &layer.mlp;
        gate_up.gate(self.machine, normed, spare, *activation, out);
        let norm = layer.mlp_branch_norm.as_ref();
        self.add(down, norm, gated, hidden, branch, spare);
    }

    /// Adds a branch to the residual stream, normed before where there is a norm.
    fn add(
        &self,
        product: &Product,
        norm: Option<&Norm>,
        x: &mut Rows,
        stream: &mut [f32],
        branch: &mut Vec<f32>,
        spare: &mut Vec<f32>,
    ) {
        let Some(norm) = norm else {
            return product.add(self.machine, x, spare, stream);
        };
        let hidden = self.decoder.shape.hidden;
        let kernels = self.machine.kernels;
        product.apply(self.machine, x, spare, resized(branch, stream.len()));
        let both = stream
            .chunks_exact_mut(hidden)
            .zip(branch.chunks_exact_mut(hidden));
        for (row, branch) in both {
            norm.apply_in_place(kernels, branch);
            kernels.add_assign(row, branch);
        }
    }

    fn norm_rows(&self, norm: &Norm, stream: &[f32], out: &mut Rows) {
        let hidden = self.decoder.shape.hidden;
        let kernels = self.machine.kernels;
        self.machine
            .pool
            .chunks_mut(out.fill(stream.len()), hidden, |i, out| {
                norm.apply(kernels, &stream[i * hidden..][..hidden], out)
            });
    }

    /// Head norms and rotary embedding, in place.
    fn rotate(&self, attention: &Attention, scratch: &mut Scratch) {
        let Shape {
            heads,
            kv_heads,
            head_dim,
            ..
        } = self.decoder.shape;
        let Scratch { qkv, cos, sin, .. } = scratch;
        let rope = attention.rope.map(|index| &self.decoder.ropes[index]);
        let half = rope.map_or(0, |rope| rope.short.half);
        if let Some(rope) = rope {
            let (cos, sin) = (
                resized(cos, self.rows.len() * half),
                resized(sin, self.rows.len() * half),
            );
            for ((row, cos), sin) in self
                .rows
                .iter()
                .zip(cos.chunks_exact_mut(half))
                .zip(sin.chunks_exact_mut(half))
            {
                rope.table(row.long).row(row.position, cos, sin);
            }
        }
        let kernels = self.machine.kernels;
        let (cos, sin) = (&*cos, &*sin);
        self.machine
            .pool
            .chunks_mut(qkv, self.decoder.shape.qkv(), |i, row| {
                let (query, key) =
                    row[..(heads + kv_heads) * head_dim].split_at_mut(heads * head_dim);
                for (norm, part) in [
                    (&attention.q_norm, &mut *query),
                    (&attention.k_norm, &mut *key),
                ] {
                    if let Some(norm) = norm {
                        norm.apply_in_place(kernels, part);
                    }
                }
                if let Some(rope) = rope {
                    let (cos, sin) = (&cos[i * half..][..half], &sin[i * half..][..half]);
                    for head in query
                        .chunks_exact_mut(head_dim)
                        .chain(key.chunks_exact_mut(head_dim))
                    {
                        kernels.rope(head, cos, sin, rope.interleaved);
                    }
                }
            });
    }

    fn attend(
        &self,
        index: usize,
        attention: &Attention,
        query: &[f32],
        chunks: &[Chunk<'_>],
        out: &mut [f32],
    ) {
        let Shape {
            heads,
            kv_heads,
            head_dim,
            ..
        } = self.decoder.shape;
        let shape = AttentionShape {
            heads,
            kv_heads,
            head_dim,
            page_tokens: PAGE_TOKENS,
            scale: attention.scale,
            softcap: attention.softcap,
        };
        let pages: Vec<Vec<KvPage<'_>>> = chunks
            .iter()
            .map(|chunk| chunk.cache.layer(index))
            .collect();
        let sequences: Vec<&[KvPage<'_>]> = pages.iter().map(Vec::as_slice).collect();
        let query_row = |row: &Row| {
            let end = row.position + 1;
            QueryRow {
                sequence: row.sequence,
                start: attention
                    .window
                    .map_or(0, |window| end.saturating_sub(window)),
                end,
            }
        };
        let rows: Vec<QueryRow> = self.rows.iter().map(query_row).collect();
        self.machine
            .kernels
            .attention(&self.machine.pool, &shape, query, &rows, &sequences, out);
    }
}
