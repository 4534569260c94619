import CKernels
import TestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension Kernels {
  @Suite struct ActivationTests {
    /// 4 units in the last place of float32 for the polynomial and the quotient; bfloat16 rounds once more.
    private func tolerance(_ type: mk_float, _ value: Double) -> Double {
      abs(value) * (type == MK_BFLOAT16 ? 0x1p-8 : 0x1p-21) + 1e-37
    }

    @Test(arguments: [MK_FLOAT32, MK_BFLOAT16]) func silu(type: mk_float) {
      let format = Format(type)
      for count in sizes {
        var generator = Generator(count)
        let values = (0..<count).map { _ in Double.random(in: -20...20, using: &generator) }
        let source = values.map { format.nearest($0) }
        let added = values.reversed().map { format.nearest($0) }
        for (level, addsUp) in [(MK_AVX512, false), (MK_AVX512, true), (MK_AVX2, true), (MK_SCALAR, false)] {
          mk_limit_simd(level)
          defer { mk_limit_simd(MK_AVX512) }
          let (from, more) = (Memory(format.write(source)), Memory(format.write(added)))
          let to = Memory(count: count * format.size)
          mk_silu(to.pointer, from.pointer, addsUp ? more.pointer : nil, count, type)
          #expect(to.isFenced)
          for (index, bits) in format.read(to.bytes).enumerated() {
            let x = format.value(source[index])
            let silu = x / (1 + exp(-x))
            let wanted = silu + (addsUp ? format.value(added[index]) : 0)
            let allowed = tolerance(type, silu) + tolerance(type, wanted)
            #expect(abs(format.value(bits) - wanted) <= allowed, "\(count): silu(\(x))")
          }
        }
      }
    }

    @Test func extremes() {
      let values: [Float] = [0, -0.0, 88, -88, 200, -200, .infinity, .nan, 1e-30, -1e-30]
      var results = [Float](repeating: 0, count: values.count)
      mk_silu(&results, values, nil, values.count, MK_FLOAT32)
      #expect(results[0] == 0 && results[1] == 0)
      #expect(results[2] == 88 && results[4] == 200 && results[6] == .infinity)
      #expect(abs(results[3]) < 1e-35 && abs(results[5]) < 1e-34)
      #expect(results[7].isNaN)
      #expect(results[8] == 5e-31 && results[9] == -5e-31)
    }
  }
}
