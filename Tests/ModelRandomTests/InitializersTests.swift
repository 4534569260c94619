import ModelCore
import ModelRandom
import TestSupport
import Testing

/// torch.nn.init, bit for bit, by make_seeds.py's sequences.
@Suite struct InitializersTests {
  @Test(arguments: try SeedSequence.all(of: "initializers")) func againstTorch(sequence: SeedSequence) throws {
    var generator = TorchGenerator(seed: try #require(UInt64(sequence.seed)))
    for (index, step) in sequence.steps.enumerated() {
      var tensor = try Tensor(step.type, step.shape)
      let mode = step.mode.flatMap(FanMode.init(rawValue:)) ?? .fanIn
      let nonlinearity = step.nonlinearity.flatMap(Nonlinearity.init(rawValue:)) ?? .leakyReLU
      switch step.call {
      case "kaiming_uniform":
        try tensor.kaimingUniform(a: step.number(0), mode: mode, nonlinearity: nonlinearity, using: &generator)
      case "kaiming_normal":
        try tensor.kaimingNormal(a: step.number(0), mode: mode, nonlinearity: nonlinearity, using: &generator)
      case "xavier_uniform": try tensor.xavierUniform(gain: step.number(0), using: &generator)
      case "xavier_normal": try tensor.xavierNormal(gain: step.number(0), using: &generator)
      default:
        try tensor.truncNormal(
          mean: step.number(0), standardDeviation: step.number(1), from: step.number(2), to: step.number(3),
          using: &generator)
      }
      #expect(fnv(try tensor.bytes()) == step.bytes, "step \(index): \(step.call) \(step.type) \(step.shape)")
      #expect(fnv(generator.state) == step.state, "step \(index): the state")
    }
  }

  /// `uniform_` and `normal_` are the generator's own, written into memory that is there already.
  @Test(arguments: [DType.float64, .float32, .float16, .bfloat16], [0, 1, 15, 16, 17, 40])
  func inPlace(dtype: DType, count: Int) throws {
    var (one, two) = (TorchGenerator(seed: 9), TorchGenerator(seed: 9))
    var tensor = try Tensor(dtype, [count])
    let place = try tensor.address()
    try tensor.uniform(from: -1, to: 3, using: &one)
    #expect(try tensor.bytes() == two.uniform([count], dtype: dtype, from: -1, to: 3).bytes())
    try tensor.normal(mean: 2, standardDeviation: 0.5, using: &one)
    #expect(try tensor.bytes() == two.normal([count], dtype: dtype, mean: 2, standardDeviation: 0.5).bytes())
    #expect(try tensor.address() == place && one == two)
    let copy = tensor
    try tensor.uniform(using: &one)
    #expect(try count == 0 || copy.bytes() != tensor.bytes(), "a copy keeps its elements")
  }

  @Test func constants() throws {
    for dtype in [DType.float64, .float32, .float16, .bfloat16, .int64, .uint8, .bool] {
      var tensor = try Tensor(dtype, [3, 2])
      try tensor.ones()
      #expect(try tensor.doubles() == [1, 1, 1, 1, 1, 1], "\(dtype)")
      try tensor.zeros()
      #expect(try tensor.doubles() == [0, 0, 0, 0, 0, 0], "\(dtype)")
    }
    var tensor = try Tensor(.float32, [2])
    try tensor.constant(-0.3)
    #expect(try tensor.floats() == [-0.3, -0.3])
    try tensor.constant(-0.0)
    #expect(try tensor.bytes() == [0, 0, 0, 128, 0, 0, 0, 128])
  }

  /// torch.nn.init.calculate_gain.
  @Test func gains() {
    let gains = Nonlinearity.allCases.map { calculateGain($0) }
    #expect(gains == [1, 1, 1, 1, 1, 1, 1, 1, 1.6666666666666667, 1.4142135623730951, 1.4141428569978354, 0.75])
    #expect(calculateGain(.leakyReLU, 0) == 1.4142135623730951)
    #expect(calculateGain(.leakyReLU, 5.0.squareRoot()) == 0.5773502691896257)
  }

  @Test func fans() throws {
    #expect(try calculateFanInAndFanOut([8, 3, 5, 2]) == (30, 80))
    #expect(try calculateFanInAndFanOut([4, 7]) == (7, 4))
    #expect(try calculateFanInAndFanOut([4, 7, 0]) == (0, 0))
  }

  @Test func refusals() throws {
    var generator = TorchGenerator(seed: 0)
    var vector = try Tensor(.float32, [4])
    var bytes = try Tensor(.uint8, [2, 2])
    var empty = try Tensor(.float32, [0, 0])
    let noFan = "a tensor of shape [4] has no fan: at least 2 axes are needed"
    #expect(refusal { try vector.kaimingUniform(using: &generator) } == noFan)
    #expect(refusal { try vector.kaimingNormal(using: &generator) } == noFan)
    #expect(refusal { try vector.xavierUniform(using: &generator) } == noFan)
    #expect(refusal { try vector.xavierNormal(using: &generator) } == noFan)
    #expect(refusal { try empty.xavierNormal(using: &generator) } == "a tensor of shape [0, 0] has no fan")
    #expect(refusal { try empty.kaimingNormal(using: &generator) } == nil)
    #expect(refusal { try bytes.uniform(using: &generator) } == "uint8 numbers cannot be drawn")
    #expect(refusal { try bytes.kaimingNormal(using: &generator) } == "uint8 numbers cannot be drawn")
    #expect(refusal { try vector.uniform(from: 2, to: 1, using: &generator) } == "the range from 2.0 to 1.0 is empty")
    #expect(
      refusal { try vector.normal(standardDeviation: .nan, using: &generator) }
        == "the standard deviation nan is negative")
    #expect(refusal { _ = try calculateFanInAndFanOut([1 << 40, 1, 1 << 40]) }?.hasSuffix("overflows") == true)
    #expect(generator == TorchGenerator(seed: 0))
  }
}
