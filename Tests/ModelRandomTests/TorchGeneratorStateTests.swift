import ModelCore
import ModelRandom
import TestSupport
import Testing

/// `torch.get_rng_state()`'s bytes. TorchDistributionsTests compares whole states with torch's.
@Suite struct TorchGeneratorStateTests {
  func word(_ state: [UInt8], _ start: Int) -> UInt32 {
    (0..<4).reduce(0) { $0 | UInt32(state[start + $1]) << UInt32(8 * $1) }
  }

  @Test func layout() throws {
    var generator = TorchGenerator(seed: .max)
    #expect(generator.state.count == 5056)
    #expect(
      generator.state[..<24] == [
        255, 255, 255, 255, 255, 255, 255, 255, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
      ])
    #expect(generator.state[5016...].allSatisfy { $0 == 0 })
    // After torch.randn(3) eight draws are used, and the fourth number is kept.
    _ = try generator.normal([3])
    #expect(word(generator.state, 8) == 617 && word(generator.state, 16) == 8 && word(generator.state, 5040) == 1)
    for _ in 8..<624 { _ = generator.next32() }
    #expect(word(generator.state, 8) == 1 && word(generator.state, 16) == 624)
    _ = generator.next32()
    #expect(word(generator.state, 8) == 624 && word(generator.state, 16) == 1)
  }

  @Test func drawingNothingChangesNothing() throws {
    var generator = TorchGenerator(seed: 3)
    let state = generator.state
    _ = try generator.normal([0])
    _ = try generator.uniform([4, 0])
    _ = try generator.permutation(1)
    #expect(generator.state == state)
    _ = try generator.uniform([624])
    #expect(generator.state != state)
  }

  @Test func keptNormalNumbersReturn() throws {
    var generator = TorchGenerator(seed: 3)
    _ = try generator.normal([3], dtype: .float64)
    var state = generator.state
    var other = try TorchGenerator(state: state)
    #expect(other.seed == 3)
    #expect(try generator.normal([5]).floats() == other.normal([5]).floats())
    // A kept float32 number, which torch draws on no CPU, passes through.
    state.replaceSubrange(5048..<5053, with: [0, 0, 128, 63, 1])
    #expect(try TorchGenerator(state: state).state == state)
  }

  @Test func refusals() {
    let good = TorchGenerator(seed: 1).state
    func changed(_ place: Int, _ value: UInt8) -> [UInt8] {
      var state = good
      state[place] = value
      return state
    }
    #expect(
      refusal { _ = try TorchGenerator(state: []) }
        == "a state of 0 bytes is none of torch's CPU generator, which has 5056")
    #expect(refusal { _ = try TorchGenerator(state: good + [0]) } != nil)
    for (place, value, text) in [(8, 0, "0 draws left, the next is 0"), (8, 5, "5 draws left, the next is 0")] {
      #expect(
        refusal { _ = try TorchGenerator(state: changed(place, UInt8(value))) }
          == "byte 8: the state of torch's CPU generator is invalid: \(text)")
    }
    for (place, value) in [(11, 255), (12, 0), (16, 7), (23, 255)] {
      #expect(refusal { _ = try TorchGenerator(state: changed(place, UInt8(value))) } != nil, "\(place)")
    }
    #expect(
      refusal { _ = try TorchGenerator(state: changed(36, 1)) }
        == "byte 32: the state of torch's CPU generator is invalid: a word has more than 32 bits")
  }
}
