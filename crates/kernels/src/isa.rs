//! Which instruction sets there are, and which of them this processor has.

/// An instruction set that kernels are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// Plain Rust, for any processor.
    Portable,
    /// x86-64 with AVX2, FMA and F16C.
    Avx2,
    /// x86-64 with AVX-512 (F, BW, DQ, VL) and its dot products of bytes (VNNI).
    Avx512Vnni,
    /// 64-bit Arm; dot products of bytes are used where the processor has them.
    Neon,
}

impl Isa {
    /// Every instruction set, the slowest first.
    pub const ALL: &[Isa] = &[Isa::Portable, Isa::Avx2, Isa::Avx512Vnni, Isa::Neon];

    /// The name used in settings and reports.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::Avx2 => "avx2",
            Isa::Avx512Vnni => "avx512vnni",
            Isa::Neon => "neon",
        }
    }

    /// The instruction set with this [`name`](Isa::name).
    pub fn from_name(name: &str) -> Option<Isa> {
        Isa::ALL.iter().copied().find(|isa| isa.name() == name)
    }

    /// Whether this build and this processor have it.
    pub fn is_available(self) -> bool {
        match self {
            Isa::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => crate::arch::avx2::Avx2::detect().is_some(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => crate::arch::avx512::Avx512::detect().is_some(),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => crate::arch::neon::Neon::detect().is_some(),
            #[allow(
                unreachable_patterns,
                reason = "which ones are left depends on the target"
            )]
            _ => false,
        }
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
        }
        assert_eq!(Isa::from_name("AVX2"), None);
    }

    #[test]
    fn there_is_always_one() {
        assert!(Isa::Portable.is_available());
        assert!(Isa::best().is_available());
    }
}
