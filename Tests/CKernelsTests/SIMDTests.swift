import CKernels
import Testing

extension Kernels {
  @Suite struct SIMDTests {
    @Test func levelIsNamed() {
      #expect(["avx512", "avx2", "neon", "scalar"].contains(String(cString: mk_simd_level())))
    }

    @Test func levelCanBeRestricted() {
      let own = String(cString: mk_simd_level())
      mk_limit_simd(MK_SCALAR)
      #expect(String(cString: mk_simd_level()) == "scalar")
      mk_limit_simd(MK_AVX2)
      #expect(String(cString: mk_simd_level()) == (own == "avx512" ? "avx2" : own))
      mk_limit_simd(MK_AVX512)
      #expect(String(cString: mk_simd_level()) == own)
    }
  }
}
