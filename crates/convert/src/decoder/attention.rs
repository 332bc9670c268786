//! Attention: projections of q, k and v, their norms, `GroupQueryAttention`, and the projection back.

use super::Decoder;
use crate::error::ConvertError;
use crate::graph::{PAST_LENGTH, TOTAL_LENGTH, float, int};
use crate::weights::{RowOrder, Rows};

impl Decoder<'_, '_> {
    pub(super) fn attention(&mut self, layer: usize, input: &str) -> Result<String, ConvertError> {
        let [mut query, mut key, mut value] = self.queries_keys_values(layer, input)?;
        if self.config.family.qk_norm {
            if key.is_empty() {
                [query, key, value] = self.split(layer, &query);
            }
            query = self.head_norm(layer, 'q', &query, self.config.heads)?;
            key = self.head_norm(layer, 'k', &key, self.config.kv_heads)?;
        }
        let base = format!("/model/layers.{layer}/attn");
        let name = format!("{base}/GroupQueryAttention");
        let output = format!("{name}/output_0");
        self.graph.add(
            "GroupQueryAttention",
            &name,
            &[
                &query,
                &key,
                &value,
                &format!("past_key_values.{layer}.key"),
                &format!("past_key_values.{layer}.value"),
                PAST_LENGTH,
                TOTAL_LENGTH,
                "cos_cache",
                "sin_cache",
                "",
                "",
                "",
            ],
            &[
                &output,
                &format!("present.{layer}.key"),
                &format!("present.{layer}.value"),
            ],
            vec![
                int("num_heads", self.config.heads as i64),
                int("kv_num_heads", self.config.kv_heads as i64),
                float(
                    "scale",
                    (1.0 / (self.config.head_size as f64).sqrt()) as f32,
                ),
                int(
                    "local_window_size",
                    self.config.window.map_or(-1, |window| window as i64),
                ),
                float("softcap", 0.0),
                int("do_rotary", 1),
                int("rotary_interleaved", 0),
            ],
        );
        let width = self.config.heads * self.config.head_size;
        let tensor = format!("blk.{layer}.attn_output");
        self.project(
            &format!("layers.{layer}/attn/o_proj"),
            &tensor,
            &output,
            width,
            self.config.hidden,
        )
    }

    /// The three inputs of attention: one projection for all three, the others empty, or three.
    fn queries_keys_values(
        &mut self,
        layer: usize,
        input: &str,
    ) -> Result<[String; 3], ConvertError> {
        let config = self.config;
        let turned = match config.family.interleaved {
            true => RowOrder::Heads(config.head_size),
            false => RowOrder::Same,
        };
        let query = config.heads * config.head_size;
        let key = config.kv_heads * config.head_size;
        if config.family.fused {
            let name = format!("layers.{layer}/attn/qkv_proj");
            let tensor = format!("blk.{layer}.attn_qkv");
            let joined = self.project(&name, &tensor, input, config.hidden, query + 2 * key)?;
            return Ok([joined, String::new(), String::new()]);
        }
        let parts = [
            ("q", query, turned),
            ("k", key, turned),
            ("v", key, RowOrder::Same),
        ];
        let mut matrices = Vec::new();
        let mut biases = Vec::new();
        for (part, n, order) in parts {
            let tensor = format!("blk.{layer}.attn_{part}");
            matrices.push(self.rows(&format!("{tensor}.weight"), config.hidden, n, order)?);
            biases.push(self.bias_rows(&tensor, n, order)?);
        }
        let given: Vec<Rows<'_>> = biases.iter().flatten().copied().collect();
        let packed = self.weights.can_join(&matrices) && (given.is_empty() || given.len() == 3);
        if packed {
            let name = format!("layers.{layer}/attn/qkv_proj");
            let joined = self.project_rows(&name, &matrices, &given, input)?;
            return Ok([joined, String::new(), String::new()]);
        }
        let mut outputs = [String::new(), String::new(), String::new()];
        let each = parts.iter().zip(matrices).zip(biases);
        for (output, (((part, _, _), matrix), bias)) in outputs.iter_mut().zip(each) {
            let name = format!("layers.{layer}/attn/{part}_proj");
            let bias: Vec<Rows<'_>> = bias.into_iter().collect();
            *output = self.project_rows(&name, &[matrix], &bias, input)?;
        }
        Ok(outputs)
    }

    fn split(&mut self, layer: usize, joined: &str) -> [String; 3] {
        let query = (self.config.heads * self.config.head_size) as i64;
        let key = (self.config.kv_heads * self.config.head_size) as i64;
        let sizes = self.graph.ints(&[query, key, key]);
        let name = format!("/model/layers.{layer}/attn/qkv_proj/Split");
        let outputs = [0, 1, 2].map(|i| format!("{name}/output_{i}"));
        let names = [
            outputs[0].as_str(),
            outputs[1].as_str(),
            outputs[2].as_str(),
        ];
        self.graph.add(
            "Split",
            &name,
            &[joined, &sizes],
            &names,
            vec![int("axis", -1)],
        );
        outputs
    }

    /// Normalises every head of q or k by itself.
    fn head_norm(
        &mut self,
        layer: usize,
        part: char,
        input: &str,
        heads: usize,
    ) -> Result<String, ConvertError> {
        let size = self.config.head_size;
        let tensor = format!("blk.{layer}.attn_{part}_norm.weight");
        let weight = format!("model.layers.{layer}.attn.{part}_norm.layernorm.weight");
        let rows = self.vector_rows(&tensor, size, RowOrder::Same)?;
        self.weights.vector(&weight, &[rows])?;
        let base = format!("/model/layers.{layer}/attn/{part}_norm");
        let graph = &mut self.graph;
        let by_head = graph.ints(&[0, -1, size as i64]);
        let whole = graph.ints(&[0, -1, (heads * size) as i64]);
        let apart = graph.node(
            "Reshape",
            &format!("{base}/Reshape_1"),
            &[input, &by_head],
            vec![],
        );
        let normed = graph.node(
            "SimplifiedLayerNormalization",
            &format!("{base}/SimplifiedLayerNormalization"),
            &[&apart, &weight],
            vec![
                float("epsilon", self.config.epsilon),
                int("axis", -1),
                int("stash_type", 1),
            ],
        );
        Ok(graph.node(
            "Reshape",
            &format!("{base}/Reshape_2"),
            &[&normed, &whole],
            vec![],
        ))
    }
}
