//! Which instruction sets there are, and which of them this processor has.

use crate::Kernels;

/// An instruction set that kernels are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// Plain Rust, for any processor.
    Portable,
    /// x86-64 with AVX2, FMA and F16C.
    Avx2,
    /// The same with the dot products of bytes (VNNI) of processors without AVX-512.
    AvxVnni,
    /// x86-64 with AVX-512 (F, BW, DQ, VL) and its dot products of bytes (VNNI).
    Avx512Vnni,
    /// 64-bit Arm.
    Neon,
    /// 64-bit Arm with dot products of bytes.
    NeonDot,
    /// 64-bit Arm with products of matrices of bytes as well.
    NeonI8mm,
    /// WebAssembly with 128-bit vectors.
    Wasm,
}

impl Isa {
    /// Every instruction set, of each architecture the slowest first.
    pub const ALL: &[Isa] = &[
        Isa::Portable,
        Isa::Avx2,
        Isa::AvxVnni,
        Isa::Avx512Vnni,
        Isa::Neon,
        Isa::NeonDot,
        Isa::NeonI8mm,
        Isa::Wasm,
    ];

    /// The name used in settings and reports.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::Avx2 => "avx2",
            Isa::AvxVnni => "avxvnni",
            Isa::Avx512Vnni => "avx512vnni",
            Isa::Neon => "neon",
            Isa::NeonDot => "neon-dotprod",
            Isa::NeonI8mm => "neon-i8mm",
            Isa::Wasm => "simd128",
        }
    }

    /// The instruction set with this [`name`](Isa::name).
    pub fn from_name(name: &str) -> Option<Isa> {
        Isa::ALL.iter().copied().find(|isa| isa.name() == name)
    }

    /// Whether this build and this processor have it.
    pub fn is_available(self) -> bool {
        Kernels::new(self).is_some()
    }

    /// The fastest one that is available.
    pub fn best() -> Isa {
        Isa::available().last().unwrap_or(Isa::Portable)
    }

    /// Those that are available, the slowest first.
    pub fn available() -> impl Iterator<Item = Isa> {
        Isa::ALL.iter().copied().filter(|isa| isa.is_available())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for &isa in Isa::ALL {
            assert_eq!(Isa::from_name(isa.name()), Some(isa));
            assert!(Kernels::new(isa).is_none_or(|kernels| kernels.isa() == isa));
        }
        assert_eq!(Isa::from_name("AVX2"), None);
    }

    #[test]
    fn there_is_always_one() {
        assert!(Isa::Portable.is_available());
        assert!(Isa::best().is_available());
    }
}
