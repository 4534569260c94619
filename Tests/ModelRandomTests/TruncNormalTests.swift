import ModelCore
import ModelRandom
import TestSupport
import Testing

/// InitializersTests compares the numbers with torch's.
@Suite struct TruncNormalTests {
  @Test(arguments: [DType.float64, .float32, .float16, .bfloat16]) func staysInside(dtype: DType) throws {
    var generator = TorchGenerator(seed: 5)
    for (low, high) in [(-0.7, 0.3), (0.9, 1.7)] {
      var tensor = try Tensor(dtype, [1009])
      try tensor.truncNormal(from: low, to: high, using: &generator)
      let bounds = try Tensor([Float(low), Float(high)]).converted(to: dtype).doubles()
      let slack = dtype == .float64 ? 1e-7 : 0
      #expect(try tensor.doubles().allSatisfy { $0 >= bounds[0] - slack && $0 <= bounds[1] + slack })
    }
  }

  @Test func refusals() throws {
    var generator = TorchGenerator(seed: 0)
    var tensor = try Tensor(.float16, [2, 3])
    var integers = try Tensor(.int32, [2])
    #expect(refusal { try integers.truncNormal(using: &generator) } == "int32 numbers cannot be drawn")
    for deviation in [0, -1, Double.nan] {
      #expect(
        refusal { try tensor.truncNormal(standardDeviation: deviation, using: &generator) }
          == "the standard deviation \(deviation) is not positive")
    }
    #expect(
      refusal { try tensor.truncNormal(from: 2, to: 1, using: &generator) }
        == "the range from 2.0 to 1.0 around 0.0 is empty")
    // In float32 every number rounds to 1, and the lower bound to the number after it.
    tensor = try Tensor(.float32, [17])
    #expect(
      refusal {
        try tensor.truncNormal(
          mean: 1 + 0x1p-24 - 1e-13, standardDeviation: 1e-12, from: 1 + 0x1p-24 + 1e-13, to: 2, using: &generator)
      }?.hasPrefix("no normal number of mean 1.0") == true)
  }
}
