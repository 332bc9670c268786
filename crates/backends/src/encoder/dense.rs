//! A layer behind the pooling, with weights in a file of their own.

use std::fs;
use std::path::Path;

use half::{bf16, f16};
use inhouse_engine::EngineError;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::files;
use super::modules::InputsFile;

/// A file of weights beyond this is refused: the largest in use have 20 MB.
const MOST_BYTES: u64 = 1 << 30;

/// `activation(weight x + bias)`.
pub(super) struct Dense {
    /// A row for each number that comes out.
    weight: Vec<f32>,
    bias: Option<Vec<f32>>,
    inputs: usize,
    activation: fn(f32) -> f32,
}

/// A `config.json` of the module.
#[derive(Debug, Deserialize)]
struct File {
    in_features: usize,
    out_features: usize,
    #[serde(default = "yes")]
    bias: bool,
    activation_function: Option<String>,
    #[serde(default)]
    use_residual: bool,
    #[serde(flatten)]
    inputs: InputsFile,
}

fn yes() -> bool {
    true
}

impl Dense {
    pub(super) fn of_folder(folder: &Path) -> Result<Self, EngineError> {
        let path = folder.join("config.json");
        let file: File = files::read(&path)?.ok_or_else(|| files::wrong(&path, "it is missing"))?;
        file.inputs.check(&path)?;
        if file.use_residual {
            return Err(files::wrong(&path, "use_residual is not computed here"));
        }
        let class = file.activation_function.as_deref().unwrap_or("Tanh");
        let activation: fn(f32) -> f32 = match class.rsplit('.').next().unwrap_or(class) {
            "Tanh" => f32::tanh,
            "Identity" => |value| value,
            "ReLU" => |value| value.max(0.0),
            _ => {
                let why = format!("the activation_function {class:?} is not computed here");
                return Err(files::wrong(&path, &why));
            }
        };
        let path = folder.join("model.safetensors");
        let weights = Weights::read(&path)?;
        let (inputs, outputs) = (file.in_features, file.out_features);
        let bias = file.bias.then(|| weights.tensor("linear.bias", &[outputs]));
        Ok(Self {
            weight: weights.tensor("linear.weight", &[outputs, inputs])?,
            bias: bias.transpose()?,
            inputs,
            activation,
        })
    }

    /// What comes out for a vector; nothing where it is not as long as the layer wants it.
    pub(super) fn apply(&self, vector: &[f32]) -> Option<Vec<f32>> {
        if vector.len() != self.inputs {
            return None;
        }
        let rows = self.weight.chunks_exact(self.inputs.max(1)).enumerate();
        let made = rows.map(|(at, row)| {
            let sum: f32 = row.iter().zip(vector).map(|(a, b)| a * b).sum();
            let bias = self.bias.as_ref().and_then(|bias| bias.get(at));
            (self.activation)(sum + bias.copied().unwrap_or(0.0))
        });
        Some(made.collect())
    }
}

impl std::fmt::Debug for Dense {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dense")
            .field("inputs", &self.inputs)
            .field("weight", &self.weight.len())
            .finish_non_exhaustive()
    }
}

/// A safetensors file: the length of a JSON header, the header, and bytes that it tells the places of.
struct Weights<'a> {
    path: &'a Path,
    header: Map<String, Value>,
    bytes: Vec<u8>,
    /// Where the bytes begin that the header counts from.
    start: usize,
}

/// A tensor in the header.
#[derive(Deserialize)]
struct Place {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [usize; 2],
}

impl<'a> Weights<'a> {
    fn read(path: &'a Path) -> Result<Self, EngineError> {
        let size = fs::metadata(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => files::wrong(
                path,
                "it is missing; weights in other files, such as pytorch_model.bin, are not read",
            ),
            _ => files::cannot_read(path, error),
        })?;
        if size.len() > MOST_BYTES {
            let why = format!("it has more than the {MOST_BYTES} bytes that are read");
            return Err(files::wrong(path, &why));
        }
        let bytes = fs::read(path).map_err(|error| files::cannot_read(path, error))?;
        let header = bytes.first_chunk().and_then(|length| {
            let end = usize::try_from(u64::from_le_bytes(*length)).ok()?;
            let end = end.checked_add(size_of::<u64>())?;
            let header = bytes.get(size_of::<u64>()..end)?;
            Some((serde_json::from_slice(header).ok()?, end))
        });
        let (header, start) =
            header.ok_or_else(|| files::wrong(path, "it is not a safetensors file"))?;
        Ok(Self {
            path,
            header,
            bytes,
            start,
        })
    }

    /// The numbers of a tensor, which has to have this shape.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EngineError> {
        let wrong = |why: &str| files::wrong(self.path, &format!("{name}: {why}"));
        let place = self
            .header
            .get(name)
            .ok_or_else(|| wrong("it is missing"))?;
        let place = Place::deserialize(place).map_err(|error| wrong(&error.to_string()))?;
        if place.shape != shape {
            let why = format!("its shape is {:?}, not {shape:?}", place.shape);
            return Err(wrong(&why));
        }
        let [from, to] = place.data_offsets.map(|at| at.checked_add(self.start));
        let bytes = from.zip(to).and_then(|(from, to)| self.bytes.get(from..to));
        let bytes = bytes.ok_or_else(|| wrong("it lies outside of the file"))?;
        let numbers = numbers(&place.dtype, bytes)
            .ok_or_else(|| wrong(&format!("numbers of type {} are not read", place.dtype)))?;
        let count = shape.iter().try_fold(1_usize, |a, &b| a.checked_mul(b));
        match Some(numbers.len()) == count {
            true => Ok(numbers),
            false => Err(wrong("it has not as many bytes as its shape asks for")),
        }
    }
}

fn numbers(dtype: &str, bytes: &[u8]) -> Option<Vec<f32>> {
    fn each<const N: usize>(bytes: &[u8], number: fn([u8; N]) -> f32) -> Vec<f32> {
        let (chunks, _) = bytes.as_chunks();
        chunks.iter().map(|chunk| number(*chunk)).collect()
    }
    Some(match dtype {
        "F32" => each(bytes, f32::from_le_bytes),
        "F16" => each(bytes, |bytes| f16::from_le_bytes(bytes).to_f32()),
        "BF16" => each(bytes, |bytes| bf16::from_le_bytes(bytes).to_f32()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A folder of a layer from two numbers to three.
    fn folder(config: &Value, header: &str, data: &[u8]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(header.as_bytes());
        file.extend_from_slice(data);
        std::fs::write(folder.path().join("model.safetensors"), file).unwrap();
        folder
    }

    fn config(activation: &str) -> Value {
        json!({"in_features": 2, "out_features": 3, "bias": true, "activation_function": activation})
    }

    fn header(dtype: &str, width: usize) -> String {
        json!({
            "__metadata__": {"format": "pt"},
            "linear.weight": {"dtype": dtype, "shape": [3, 2], "data_offsets": [0, 6 * width]},
            "linear.bias": {"dtype": dtype, "shape": [3], "data_offsets": [6 * width, 9 * width]},
        })
        .to_string()
    }

    const NUMBERS: [f32; 9] = [1.0, 0.0, 0.0, 1.0, -1.0, -1.0, 0.5, 0.0, 0.25];

    #[test]
    fn a_layer_is_read_and_computed() {
        let check = |activation: &str, dtype: &str, data: Vec<u8>, expected: [f32; 3]| {
            let folder = folder(&config(activation), &header(dtype, data.len() / 9), &data);
            let dense = Dense::of_folder(folder.path()).unwrap();
            assert_eq!(
                dense.apply(&[2.0, -3.0]).unwrap(),
                expected,
                "{activation} {dtype}"
            );
            assert_eq!(dense.apply(&[2.0]), None);
        };
        let f32s: Vec<u8> = NUMBERS.iter().flat_map(|n| n.to_le_bytes()).collect();
        let f16s = NUMBERS.iter().flat_map(|n| f16::from_f32(*n).to_le_bytes());
        let bf16s = NUMBERS
            .iter()
            .flat_map(|n| bf16::from_f32(*n).to_le_bytes());
        let linear = [2.5, -3.0, 1.25];
        let identity = "torch.nn.modules.linear.Identity";
        check(identity, "F32", f32s.clone(), linear);
        check(identity, "F16", f16s.collect(), linear);
        check(identity, "BF16", bf16s.collect(), linear);
        let relu = "torch.nn.modules.activation.ReLU";
        check(relu, "F32", f32s.clone(), [2.5, 0.0, 1.25]);
        let tanh = "torch.nn.modules.activation.Tanh";
        check(tanh, "F32", f32s, linear.map(f32::tanh));
    }

    #[test]
    fn what_cannot_be_computed_is_refused() {
        let check = |config: Value, header: &str, data: usize, expected: &str| {
            let folder = folder(&config, header, &vec![0; data]);
            let error = Dense::of_folder(folder.path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        let tanh = || config("torch.nn.Tanh");
        let good = header("F32", 4);
        check(config("torch.nn.GELU"), &good, 36, "activation_function");
        let mut residual = tanh();
        residual["use_residual"] = json!(true);
        check(residual, &good, 36, "use_residual");
        let mut tokens = tanh();
        tokens["module_input_name"] = json!("token_embeddings");
        check(tokens, &good, 36, "token_embeddings");
        check(tanh(), &good, 35, "outside of the file");
        check(tanh(), &header("I8", 1), 9, "type I8");
        check(tanh(), &header("F32", 3), 36, "not as many bytes");
        check(tanh(), "{}", 36, "linear.weight: it is missing");
        check(tanh(), "[]", 36, "not a safetensors file");
        let wide = good.replace("[3,2]", "[2,3]");
        check(tanh(), &wide, 36, "[2, 3], not [3, 2]");
        let far = good.replace("[0,24]", "[0,18446744073709551615]");
        check(tanh(), &far, 36, "outside of the file");
        let huge = json!({"in_features": usize::MAX, "out_features": 3});
        check(huge, &good, 36, "its shape is");
    }

    #[test]
    fn missing_weights_say_which_file_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("config.json"),
            config("x.Tanh").to_string(),
        )
        .unwrap();
        let error = Dense::of_folder(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("model.safetensors: it is missing"),
            "{error}"
        );
    }
}
