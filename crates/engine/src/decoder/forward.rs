//! One forward pass: rows of several sequences through every layer.

use inhouse_kernels::{AttentionShape, KvPage, QueryRow};

use super::apply::{Machine, Rows, resized};
use super::{Activation, Attention, Decoder, GateUp, Layer, Mlp, Qkv, Shape};
use crate::error::EngineError;
use crate::kv::{KvCache, PAGE_TOKENS};
use crate::session::Cancel;
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
    part: Vec<f32>,
    query: Vec<f32>,
    attended: Rows,
    gate: Rows,
    up: Vec<f32>,
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
        for (index, layer) in self.layers.iter().enumerate() {
            if cancel.is_cancelled() {
                return Err(EngineError::cancelled());
            }
            let pass = Pass {
                machine,
                shape: &self.shape,
                decoder: self,
                rows: &rows,
            };
            pass.attention(index, layer, scratch, chunks);
            pass.feed_forward(layer, scratch);
        }
        for chunk in chunks.iter_mut() {
            chunk.cache.commit(chunk.ids.len());
        }
        Ok(self.logits(machine, scratch, chunks))
    }

    fn logits<'s>(
        &self,
        machine: &Machine,
        scratch: &'s mut Scratch,
        chunks: &[Chunk<'_>],
    ) -> &'s [f32] {
        let hidden = self.shape.hidden;
        let mut first = 0;
        let mut wanted = Vec::new();
        for chunk in chunks {
            wanted.extend(first + chunk.logits_from.min(chunk.ids.len())..first + chunk.ids.len());
            first += chunk.ids.len();
        }
        let Scratch {
            hidden: stream,
            normed,
            logits,
            ..
        } = scratch;
        let source = |i: usize| &stream[wanted[i] * hidden..][..hidden];
        let rows = normed.fill(wanted.len() * hidden);
        machine.pool.chunks_mut(rows, hidden, |i, out| {
            self.final_norm.apply(machine.kernels, source(i), out)
        });
        let logits = resized(logits, wanted.len() * self.shape.vocab);
        if !wanted.is_empty() {
            self.head.apply(machine, normed, logits);
        }
        if let Some(cap) = self.logit_softcap {
            machine.pool.chunks_mut(logits, self.shape.vocab, |_, row| {
                row.iter_mut().for_each(|x| *x = (*x / cap).tanh() * cap)
            });
        }
        logits
    }
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

/// What the steps of one layer have in common.
struct Pass<'a> {
    machine: &'a Machine,
    shape: &'a Shape,
    decoder: &'a Decoder,
    rows: &'a [Row],
}

impl Pass<'_> {
    fn attention(
        &self,
        index: usize,
        layer: &Layer,
        scratch: &mut Scratch,
        chunks: &mut [Chunk<'_>],
    ) {
        let (shape, rows) = (self.shape, self.rows.len());
        let attention = &layer.attention;
        self.norm_rows(&layer.input_norm, &scratch.hidden, &mut scratch.normed);
        self.project(&attention.qkv, scratch);
        self.rotate(attention, scratch);

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
        let query = resized(&mut scratch.query, rows * queries);
        for (out, qkv) in query
            .chunks_exact_mut(queries)
            .zip(scratch.qkv.chunks_exact(shape.qkv()))
        {
            out.copy_from_slice(&qkv[..queries]);
        }
        let attended = scratch.attended.fill(rows * queries);
        self.attend(index, attention, &scratch.query, chunks, attended);

        let branch = resized(&mut scratch.branch, rows * shape.hidden);
        attention
            .output
            .apply(self.machine, &mut scratch.attended, branch);
        self.add_branch(layer.attention_branch_norm.as_ref(), scratch);
    }

    fn feed_forward(&self, layer: &Layer, scratch: &mut Scratch) {
        self.norm_rows(&layer.mlp_norm, &scratch.hidden, &mut scratch.normed);
        let Mlp {
            gate_up,
            activation,
            down,
        } = &layer.mlp;
        let (rows, width) = (self.rows.len(), gate_up.width());
        let Scratch {
            normed,
            gate,
            up,
            part,
            branch,
            ..
        } = scratch;
        match gate_up {
            GateUp::Separate {
                gate: gate_linear,
                up: up_linear,
            } => {
                gate_linear.apply(self.machine, normed, gate.fill(rows * width));
                up_linear.apply(self.machine, normed, resized(up, rows * width));
            }
            GateUp::Packed(linear) => {
                linear.apply(self.machine, normed, resized(part, rows * 2 * width));
                let (gate, up) = (gate.fill(rows * width), resized(up, rows * width));
                for (row, both) in part.chunks_exact(2 * width).enumerate() {
                    gate[row * width..][..width].copy_from_slice(&both[..width]);
                    up[row * width..][..width].copy_from_slice(&both[width..]);
                }
            }
        }
        let kernels = self.machine.kernels;
        self.machine
            .pool
            .chunks_mut(&mut gate.values, width, |i, gate| match activation {
                Activation::Silu => kernels.silu_mul(gate, &up[i * width..][..width]),
                Activation::GeluTanh => kernels.gelu_tanh_mul(gate, &up[i * width..][..width]),
            });
        down.apply(
            self.machine,
            gate,
            resized(branch, rows * self.shape.hidden),
        );
        self.add_branch(layer.mlp_branch_norm.as_ref(), scratch);
    }

    fn norm_rows(&self, norm: &Norm, stream: &[f32], out: &mut Rows) {
        let hidden = self.shape.hidden;
        let kernels = self.machine.kernels;
        self.machine
            .pool
            .chunks_mut(out.fill(stream.len()), hidden, |i, out| {
                norm.apply(kernels, &stream[i * hidden..][..hidden], out)
            });
    }

    fn add_branch(&self, norm: Option<&Norm>, scratch: &mut Scratch) {
        let hidden = self.shape.hidden;
        let kernels = self.machine.kernels;
        let Scratch {
            hidden: stream,
            branch,
            ..
        } = scratch;
        self.machine.pool.chunks_mut(stream, hidden, |i, row| {
            let branch = &branch[i * hidden..][..hidden];
            match norm {
                None => kernels.add_assign(row, branch),
                Some(norm) => {
                    let mut normed = vec![0.0; hidden];
                    norm.apply(kernels, branch, &mut normed);
                    kernels.add_assign(row, &normed);
                }
            }
        });
    }

    /// q, k and v of every row, side by side in `scratch.qkv`.
    fn project(&self, qkv: &Qkv, scratch: &mut Scratch) {
        let (rows, width) = (self.rows.len(), self.shape.qkv());
        let Scratch {
            normed,
            qkv: out,
            part,
            ..
        } = scratch;
        let out = resized(out, rows * width);
        if let Qkv::Packed(linear) = qkv {
            return linear.apply(self.machine, normed, out);
        }
        let mut at = 0;
        for (linear, n) in qkv.parts(self.shape) {
            let part = resized(part, rows * n);
            linear.apply(self.machine, normed, part);
            for (row, part) in part.chunks_exact(n).enumerate() {
                out[row * width + at..][..n].copy_from_slice(part);
            }
            at += n;
        }
    }

    /// Head norms and rotary embedding, in place.
    fn rotate(&self, attention: &Attention, scratch: &mut Scratch) {
        let Shape {
            heads,
            kv_heads,
            head_dim,
            ..
        } = *self.shape;
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
            .chunks_mut(qkv, self.shape.qkv(), |i, row| {
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
        } = *self.shape;
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
