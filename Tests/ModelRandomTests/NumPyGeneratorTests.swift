import ModelCore
import ModelRandom
import TestSupport
import Testing

/// `np.random.RandomState`, bit for bit, by make_seeds.py's sequences.
@Suite struct NumPyGeneratorTests {
  func draw(_ step: SeedSequence.Step, _ generator: inout NumPyGenerator) throws -> [UInt8] {
    func each(_ next: () -> Double) -> [UInt8] { bytes((0..<step.count).map { _ in next() }) }
    switch step.call {
    case "rand": return each { generator.uniform() }
    case "uniform": return each { generator.uniform(from: step.number(0), to: step.number(1)) }
    case "randn": return each { generator.normal() }
    case "normal": return each { generator.normal(mean: step.number(0), standardDeviation: step.number(1)) }
    case "permutation": return bytes(generator.permutation(step.count))
    default:
      let values = try generator.integers(step.count, dtype: step.type, from: step.integer(0), below: step.integer(1))
      return try Tensor(integers: values, step.type, step.shape).bytes()
    }
  }

  func stateBytes(_ state: NumPyGenerator.State) -> [UInt8] {
    bytes(state.key) + bytes([state.pos, state.hasGauss ? 1 : 0]) + bytes([state.cachedGaussian])
  }

  @Test(arguments: try SeedSequence.all(of: "numpy")) func againstNumPy(sequence: SeedSequence) throws {
    var generator = try NumPyGenerator(seed: try #require(UInt64(sequence.seed)))
    for (index, step) in sequence.steps.enumerated() {
      #expect(fnv(try draw(step, &generator)) == step.bytes, "step \(index): \(step.call) \(step.dtype ?? "")")
      #expect(fnv(stateBytes(generator.state)) == step.state, "step \(index): the state")
      #expect(try NumPyGenerator(state: generator.state) == generator)
    }
  }

  /// `RandomState(3)`: `beta(32, 32)` three times, `standard_gamma(1.5)`, `beta(2.5, 7)`, `random_sample()`.
  @Test func gammaAndBeta() throws {
    var generator = try NumPyGenerator(seed: 3)
    let found = try [generator.beta(32, 32), generator.beta(32, 32), generator.beta(32, 32)]
    #expect(found == [0.5561442259050855, 0.5035028187912328, 0.5195472193170882])
    #expect(try generator.gamma(shape: 1.5) == 2.400978694363182)
    #expect(try generator.beta(2.5, 7) == 0.519197446363353)
    #expect(generator.uniform() == 0.6931379183129963)
    #expect(refusal { _ = try generator.beta(1, 2) }?.contains("is not drawn") == true)
    #expect(refusal { _ = try generator.gamma(shape: .nan) } != nil)
  }

  @Test func refusals() throws {
    #expect(
      refusal { _ = try NumPyGenerator(seed: 1 << 32) }
        == "NumPy's generator takes a seed from 0 to 4294967295, not 4294967296")
    var generator = try NumPyGenerator(seed: 0)
    #expect(
      refusal { _ = try generator.integers(1, dtype: .float32, below: 3) }
        == "NumPy's generator draws no float32 integers")
    #expect(refusal { _ = try generator.integers(1, from: 3, below: 3) } == "the range from 3 to below 3 is empty")
    #expect(
      refusal { _ = try generator.integers(1, dtype: .int8, below: 129) }
        == "the range from 0 to below 129 goes beyond int8")
    var state = generator.state
    state.pos = 625
    #expect(
      refusal { _ = try NumPyGenerator(state: state) }
        == "the position 625 in a Mersenne Twister's words is not 0 to 624")
    state.key = [1]
    #expect(refusal { _ = try NumPyGenerator(state: state) } == "a Mersenne Twister has 624 words, not 1")
    #expect(try generator == NumPyGenerator(seed: 0))
  }
}
