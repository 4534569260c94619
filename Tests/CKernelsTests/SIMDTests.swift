import CKernels
import Testing

extension Kernels {
  @Suite struct SIMDTests {
    @Test func levelIsNamed() {
      #expect(["avx512", "avx2", "neon", "scalar"].contains(String(cString: mk_simd_level())))
    }

    @Test func levelCanBeRestricted() {
      mk_force_scalar(true)
      #expect(String(cString: mk_simd_level()) == "scalar")
      mk_force_scalar(false)
    }
  }
}
