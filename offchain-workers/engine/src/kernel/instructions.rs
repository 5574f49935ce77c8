//! Which instructions this CPU has.

/// An instruction set that the kernels know, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Instructions {
	/// What every CPU of the target has.
	Portable,
	/// AVX2 with fused multiply-add.
	Avx2,
	/// AVX-512 F, BW and VL, as all servers' CPUs with AVX-512 have them.
	Avx512,
	/// The same with dot products of bf16.
	Avx512Bf16,
}

impl Instructions {
	/// The best that this CPU has.
	pub fn detect() -> Self {
		#[cfg(target_arch = "x86_64")]
		{
			if std::is_x86_feature_detected!("avx512f")
				&& std::is_x86_feature_detected!("avx512bw")
				&& std::is_x86_feature_detected!("avx512vl")
			{
				return if std::is_x86_feature_detected!("avx512bf16") {
					Self::Avx512Bf16
				} else {
					Self::Avx512
				};
			}
			if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
				return Self::Avx2;
			}
		}
		Self::Portable
	}

	/// Everything that this CPU has, for tests that compare.
	#[cfg(test)]
	pub(crate) fn available() -> Vec<Self> {
		[Self::Portable, Self::Avx2, Self::Avx512, Self::Avx512Bf16]
			.into_iter()
			.filter(|level| *level <= Self::detect())
			.collect()
	}
}

/// Compiles one body for every instruction set, so that the compiler vectorises it for each, and
/// calls the one asked for. The body takes `const FUSED: bool` first: whether `mul_add` is an
/// instruction.
macro_rules! for_each_instruction_set {
	($(#[$meta:meta])* $visibility:vis fn $name:ident = $body:ident($($argument:ident: $type:ty),* $(,)?) $(-> $output:ty)?) => {
		$(#[$meta])*
		$visibility fn $name(
			instructions: $crate::kernel::Instructions,
			$($argument: $type),*
		) $(-> $output)? {
			#[cfg(target_arch = "x86_64")]
			{
				use $crate::kernel::Instructions;

				#[target_feature(enable = "avx512f")]
				fn avx512($($argument: $type),*) $(-> $output)? {
					$body::<true>($($argument),*)
				}
				#[target_feature(enable = "avx2,fma")]
				fn avx2($($argument: $type),*) $(-> $output)? {
					$body::<true>($($argument),*)
				}
				match instructions {
					// SAFETY: a value of `Instructions` comes from `detect`, so that this CPU has them.
					Instructions::Avx512 | Instructions::Avx512Bf16 => {
						return unsafe { avx512($($argument),*) };
					},
					// SAFETY: as above.
					Instructions::Avx2 => return unsafe { avx2($($argument),*) },
					Instructions::Portable => {},
				}
			}
			let _ = instructions;
			$body::<false>($($argument),*)
		}
	};
}

pub(crate) use for_each_instruction_set;
