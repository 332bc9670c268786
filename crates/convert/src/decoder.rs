//! Weights and nodes of a Llama-like decoder, layer by layer.

use inhouse_onnx::{DataType, Graph};

use crate::ZeroPoints;
use crate::error::ConvertError;
use crate::family::Config;
use crate::gguf::Gguf;
use crate::graph::{Builder, PAST_LENGTH, TOTAL_LENGTH, float, int};
use crate::matrix::Use;
use crate::rope;
use crate::weights::{RowOrder, Rows, Weights, Written};

/// ONNX's number for f32, as `Cast` takes it.
const FLOAT: i64 = 1;
/// How precisely a product is computed, as `MatMulNBits` numbers it.
#[derive(Clone, Copy, Debug)]
enum Accuracy {
    /// In f32.
    Full = 0,
    /// Activations may be quantised to 8 bits, block by block.
    Int8 = 4,
}

/// Writes every weight and returns the graph that uses them.
pub(crate) fn convert(
    gguf: &Gguf,
    config: &Config,
    weights: &mut Weights<'_>,
) -> Result<Graph, ConvertError> {
    let mut decoder = Decoder {
        config,
        weights,
        graph: Builder::default(),
    };
    decoder.graph.sequence_lengths();
    decoder.rope_tables(gguf)?;
    let ends = decoder.ends()?;
    let mut stream = Stream {
        residual: decoder.lookup(&ends),
        branch: None,
    };
    for layer in 0..config.layers {
        decoder.layer(layer, &mut stream)?;
    }
    let name = format!("layers.{}/final_norm_layernorm", config.layers);
    let normed = decoder.norm(&name, "output_norm.weight", &mut stream, true)?;
    let head_accuracy = match decoder.weights.zero_points() {
        // Whoever wants the weights as they are wants near-ties between tokens decided by
        // them, not by the rounding of the last activations.
        ZeroPoints::Float => Accuracy::Full,
        ZeroPoints::Packed | ZeroPoints::None => Accuracy::Int8,
    };
    let graph = &mut decoder.graph;
    let product = Product {
        name: "/lm_head/MatMul",
        output: Some("logits"),
        accuracy: head_accuracy,
    };
    multiply(graph, &product, &normed, &ends.head);
    Ok(decoder.graph.finish(config))
}

struct Decoder<'a, 'w> {
    config: &'a Config,
    weights: &'a mut Weights<'w>,
    graph: Builder,
}

/// The residual stream, and what is to be added to it at the next norm.
struct Stream {
    residual: String,
    branch: Option<String>,
}

/// Both ends of the model, which may share their weights.
struct Ends {
    embedding: Written,
    head: Written,
}

impl<'w> Decoder<'_, 'w> {
    fn rope_tables(&mut self, gguf: &Gguf) -> Result<(), ConvertError> {
        self.weights.mark_used(rope::FACTORS);
        let frequencies = rope::frequencies(gguf, self.config)?;
        let dims = [self.config.context, frequencies.len()];
        for (name, wave) in [
            ("cos_cache", f64::cos as fn(f64) -> f64),
            ("sin_cache", f64::sin),
        ] {
            let table = rope::table(&frequencies, self.config.context, wave);
            self.weights.computed(name, &dims, &table)?;
        }
        Ok(())
    }

    /// Writes the embedding and the head. A tied head is written once where
    /// `GatherBlockQuantized` can read it, that is, unless its zero points are floats.
    fn ends(&mut self) -> Result<Ends, ConvertError> {
        let (k, n) = (self.config.hidden, self.config.vocab);
        let table = self.rows("token_embd.weight", k, n, RowOrder::Same)?;
        let head = match self.weights.optional("output.weight", &[k, n])? {
            Some(tensor) => Rows { tensor, ..table },
            None => table,
        };
        let tied = std::ptr::eq(head.tensor, table.tensor);
        let written = self.weights.matrix("lm_head", &[head])?;
        let gathers = self.weights.form(table.tensor.tensor_type(), Use::Gather);
        let embedding = match &written {
            Written::Quantised { form, .. } if tied && gathers == Some(*form) => written.clone(),
            _ => self.weights.embedding("model.embed_tokens.weight", table)?,
        };
        Ok(Ends {
            embedding,
            head: written,
        })
    }

    /// The embedding of the input, as f32.
    fn lookup(&mut self, ends: &Ends) -> String {
        let base = "/model/embed_tokens";
        let graph = &mut self.graph;
        match &ends.embedding {
            Written::Quantised {
                levels,
                scales,
                zero_points,
                form,
                n,
                k,
            } => {
                let shape = graph.ints(&[*n as i64, (*k * form.bits / 8) as i64]);
                let flat = graph.node(
                    "Reshape",
                    &format!("{base}/Reshape"),
                    &[levels, &shape],
                    vec![],
                );
                let mut inputs = vec![flat.as_str(), "input_ids", scales];
                inputs.extend(zero_points.as_deref());
                let attributes = vec![
                    int("bits", form.bits as i64),
                    int("block_size", form.block as i64),
                    int("gather_axis", 0),
                    int("quantize_axis", 1),
                ];
                let name = format!("{base}/GatherBlockQuantized");
                graph.node("GatherBlockQuantized", &name, &inputs, attributes)
            }
            Written::Float { name, dtype } => {
                let gathered = graph.node(
                    "Gather",
                    &format!("{base}/Gather"),
                    &[name, "input_ids"],
                    vec![],
                );
                to_f32(graph, &format!("{base}/Cast"), gathered, *dtype)
            }
        }
    }

    fn layer(&mut self, layer: usize, stream: &mut Stream) -> Result<(), ConvertError> {
        let input_norm = format!("layers.{layer}/input_layernorm");
        let normed = self.norm(
            &input_norm,
            &format!("blk.{layer}.attn_norm.weight"),
            stream,
            false,
        )?;
        stream.branch = Some(self.attention(layer, &normed)?);
        let after = format!("layers.{layer}/post_attention_layernorm");
        let normed = self.norm(
            &after,
            &format!("blk.{layer}.ffn_norm.weight"),
            stream,
            false,
        )?;
        stream.branch = Some(self.feed_forward(layer, &normed)?);
        Ok(())
    }

    /// Adds what is pending to the stream and normalises it.
    fn norm(
        &mut self,
        name: &str,
        tensor: &str,
        stream: &mut Stream,
        last: bool,
    ) -> Result<String, ConvertError> {
        let weight = format!("model.{}.weight", name.replace('/', "."));
        let rows = self.vector_rows(tensor, self.config.hidden, RowOrder::Same)?;
        self.weights.vector(&weight, &[rows])?;
        let epsilon = float("epsilon", self.config.epsilon);
        let base = format!("/model/{name}");
        let output = format!("{base}/output_0");
        let Some(branch) = stream.branch.take() else {
            self.graph.add(
                "SimplifiedLayerNormalization",
                &format!("{base}/LayerNorm"),
                &[&stream.residual, &weight],
                &[&output],
                vec![epsilon, int("axis", -1), int("stash_type", 1)],
            );
            return Ok(output);
        };
        let sum = format!("{base}/output_3");
        let outputs = [output.as_str(), "", "", &sum];
        self.graph.add(
            "SkipSimplifiedLayerNormalization",
            &format!("{base}/SkipLayerNorm"),
            &[&stream.residual, &branch, &weight],
            if last {
                outputs.get(..1)
            } else {
                Some(&outputs[..])
            }
            .unwrap_or_default(),
            vec![epsilon],
        );
        stream.residual = sum;
        Ok(output)
    }

    fn attention(&mut self, layer: usize, input: &str) -> Result<String, ConvertError> {
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
                int("local_window_size", -1),
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

    fn feed_forward(&mut self, layer: usize, input: &str) -> Result<String, ConvertError> {
        let (hidden, inner) = (self.config.hidden, self.config.feed_forward);
        let base = format!("layers.{layer}/mlp");
        let blk = |part: &str| format!("blk.{layer}.ffn_{part}");
        let gate = self.project(
            &format!("{base}/gate_proj"),
            &blk("gate"),
            input,
            hidden,
            inner,
        )?;
        let up = self.project(&format!("{base}/up_proj"), &blk("up"), input, hidden, inner)?;
        let name = |part: &str| format!("/model/{base}/{part}");
        let graph = &mut self.graph;
        let sigmoid = graph.node("Sigmoid", &name("act_fn/Sigmoid"), &[&gate], vec![]);
        let silu = graph.node("Mul", &name("act_fn/Mul"), &[&gate, &sigmoid], vec![]);
        let product = graph.node("Mul", &name("Mul"), &[&silu, &up], vec![]);
        self.project(
            &format!("{base}/down_proj"),
            &blk("down"),
            &product,
            inner,
            hidden,
        )
    }

    /// A projection of one matrix, with its bias where there is one.
    fn project(
        &mut self,
        name: &str,
        tensor: &str,
        input: &str,
        k: usize,
        n: usize,
    ) -> Result<String, ConvertError> {
        let matrix = self.rows(&format!("{tensor}.weight"), k, n, RowOrder::Same)?;
        let bias: Vec<Rows<'_>> = self
            .bias_rows(tensor, n, RowOrder::Same)?
            .into_iter()
            .collect();
        self.project_rows(name, &[matrix], &bias, input)
    }

    fn project_rows(
        &mut self,
        name: &str,
        matrices: &[Rows<'_>],
        biases: &[Rows<'_>],
        input: &str,
    ) -> Result<String, ConvertError> {
        let dotted = format!("model.{}", name.replace('/', "."));
        let weight = self.weights.matrix(&dotted, matrices)?;
        let node = format!("/model/{name}/MatMul");
        let product = Product {
            name: &node,
            output: None,
            accuracy: Accuracy::Int8,
        };
        let product = multiply(&mut self.graph, &product, input, &weight);
        if biases.is_empty() {
            return Ok(product);
        }
        let bias = format!("{dotted}.Add.bias");
        self.weights.vector(&bias, biases)?;
        Ok(self.graph.node(
            "Add",
            &format!("/model/{name}/Add"),
            &[&product, &bias],
            vec![],
        ))
    }

    fn rows(
        &mut self,
        name: &str,
        k: usize,
        n: usize,
        order: RowOrder,
    ) -> Result<Rows<'w>, ConvertError> {
        let tensor = self.weights.tensor(name, &[k, n])?;
        Ok(Rows {
            tensor,
            k,
            n,
            order,
        })
    }

    /// A vector, as rows of one value.
    fn vector_rows(
        &mut self,
        name: &str,
        n: usize,
        order: RowOrder,
    ) -> Result<Rows<'w>, ConvertError> {
        let tensor = self.weights.tensor(name, &[n])?;
        Ok(Rows {
            tensor,
            k: 1,
            n,
            order,
        })
    }

    fn bias_rows(
        &mut self,
        tensor: &str,
        n: usize,
        order: RowOrder,
    ) -> Result<Option<Rows<'w>>, ConvertError> {
        let tensor = self.weights.optional(&format!("{tensor}.bias"), &[n])?;
        Ok(tensor.map(|tensor| Rows {
            tensor,
            k: 1,
            n,
            order,
        }))
    }
}

/// A node that multiplies.
struct Product<'a> {
    name: &'a str,
    /// The result's name where it is the graph's own output.
    output: Option<&'a str>,
    accuracy: Accuracy,
}

/// `input` times a weight.
fn multiply(graph: &mut Builder, product: &Product<'_>, input: &str, weight: &Written) -> String {
    let name = product.name;
    let usual = format!("{name}/output_0");
    let output = product.output.unwrap_or(&usual);
    match weight {
        Written::Quantised {
            levels,
            scales,
            zero_points,
            form,
            n,
            k,
        } => {
            let mut inputs = vec![input, levels, scales];
            inputs.extend(zero_points.as_deref());
            let attributes = vec![
                int("K", *k as i64),
                int("N", *n as i64),
                int("accuracy_level", product.accuracy as i64),
                int("bits", form.bits as i64),
                int("block_size", form.block as i64),
            ];
            let name = format!("{name}_Q{}", form.bits);
            graph.add("MatMulNBits", &name, &inputs, &[output], attributes);
        }
        Written::Float {
            name: weight,
            dtype,
        } => {
            let widened = to_f32(graph, &format!("{name}/Cast"), weight.clone(), *dtype);
            graph.add("MatMul", name, &[input, &widened], &[output], vec![]);
        }
    }
    output.to_owned()
}

/// Half-width weights are widened by the graph, so that the file stays as small as it was.
fn to_f32(graph: &mut Builder, name: &str, value: String, dtype: DataType) -> String {
    match dtype {
        DataType::F32 => value,
        _ => graph.node("Cast", name, &[&value], vec![int("to", FLOAT)]),
    }
}
