import ModelCore
import ModelRandom
import TestSupport
import Testing

/// Every number and every saved state of make_seeds.py's sequences, in one stream for each seed.
@Suite struct TorchDistributionsTests {
  func draw(_ step: SeedSequence.Step, _ generator: inout TorchGenerator) throws -> Tensor {
    switch step.call {
    case "uniform":
      return try generator.uniform(step.shape, dtype: step.type, from: step.number(0), to: step.number(1))
    case "normal":
      return try generator.normal(
        step.shape, dtype: step.type, mean: step.number(0), standardDeviation: step.number(1))
    case "randint":
      return try generator.integers(step.shape, dtype: step.type, from: step.integer(0), below: step.integer(1))
    case "randperm": return try generator.permutation(step.count)
    case "bernoulli": return try generator.bernoulli(step.shape, dtype: step.type, p: step.number(0))
    default:
      let probabilities = (0..<step.count).map { Float($0 * 389 % 1025) / 1024 }
      return try generator.bernoulli(try Tensor(probabilities, step.shape).converted(to: step.type))
    }
  }

  @Test(arguments: try SeedSequence.all(of: "torch")) func againstTorch(sequence: SeedSequence) throws {
    var generator = TorchGenerator(seed: try #require(UInt64(sequence.seed)))
    for (index, step) in sequence.steps.enumerated() {
      let result = try draw(step, &generator)
      #expect(result.shape == step.shape)
      #expect(fnv(try result.bytes()) == step.bytes, "step \(index): \(step.call) \(step.type) \(step.shape)")
      #expect(fnv(generator.state) == step.state, "step \(index): the state")
      #expect(try TorchGenerator(state: generator.state) == generator)
    }
  }

  /// torch.randint(0, 5, (6,), dtype=…) and torch.randperm(6, dtype=…) of seed 11.
  @Test(arguments: [DType.float64, .float32, .float16, .bfloat16, .int8]) func integersOfOtherTypes(dtype: DType) throws
  {
    var generator = TorchGenerator(seed: 11)
    #expect(try generator.integers([6], dtype: dtype, below: 5).doubles() == [1, 4, 0, 2, 3, 2])
    #expect(try generator.permutation(6, dtype: dtype).doubles() == [5, 1, 3, 0, 4, 2])
  }

  @Test func refusals() {
    var generator = TorchGenerator(seed: 0)
    #expect(refusal { _ = try generator.uniform([1], from: 1, to: 0) } == "the range from 1.0 to 0.0 is empty")
    #expect(refusal { _ = try generator.uniform([1], from: 0, to: .nan) } == "the range from 0.0 to nan is empty")
    #expect(
      refusal { _ = try generator.uniform([1], from: -3e38, to: 3e38) }
        == "the range from -3e+38 to 3e+38 goes beyond float32")
    #expect(
      refusal { _ = try generator.uniform([1], dtype: .float16, from: 0, to: 1e5) }
        == "the range from 0.0 to 100000.0 goes beyond float16")
    #expect(
      refusal { _ = try generator.uniform([1], dtype: .float64, from: -1.7e308, to: 1.7e308) }
        == "the range from -1.7e+308 to 1.7e+308 goes beyond float64")
    #expect(
      refusal { _ = try generator.normal([1], standardDeviation: -1) } == "the standard deviation -1.0 is negative")
    #expect(refusal { _ = try generator.normal([1], dtype: .int8) } == "int8 numbers cannot be drawn")
    #expect(refusal { _ = try generator.bernoulli([1], p: 1.5) } == "the probability 1.5 is not 0 to 1")
    #expect(
      refusal { _ = try generator.bernoulli([1], dtype: .complex64, p: 0.5) } == "complex64 numbers cannot be drawn")
    #expect(
      refusal { _ = try generator.bernoulli(try Tensor([0.5, -0.1])) }?.hasSuffix("is not 0 to 1") == true)
    #expect(
      refusal { _ = try generator.integers([1], from: 3, below: 3) } == "the range from 3 to below 3 is empty")
    #expect(
      refusal { _ = try generator.integers([1], dtype: .uint8, from: -1, below: 3) }
        == "the range from -1 to below 3 goes beyond uint8")
    #expect(
      refusal { _ = try generator.integers([1], dtype: .float16, below: 2050) }
        == "the range from 0 to below 2050 goes beyond float16")
    #expect(
      refusal { _ = try generator.integers([1], dtype: .float8E5M2, below: 2) }
        == "float8_e5m2 integers cannot be drawn")
    #expect(
      refusal { _ = try generator.permutation(257, dtype: .uint8) } == "the range from 0 to below 257 goes beyond uint8"
    )
    #expect(
      refusal { _ = try generator.permutation(-1) } == "shape [-1] is negative, overflows or does not fill whole bytes")
    #expect(
      refusal { _ = try generator.uniform([1 << 40, 1 << 10]) }?.hasSuffix("do not fit in this machine's memory")
        == true)
    #expect(generator == TorchGenerator(seed: 0), "what is refused draws nothing")
  }
}
