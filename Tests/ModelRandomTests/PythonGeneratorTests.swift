import ModelCore
import ModelRandom
import TestSupport
import Testing

/// Python's `random`, bit for bit, by make_seeds.py's sequences.
@Suite struct PythonGeneratorTests {
  func draw(_ step: SeedSequence.Step, _ generator: inout PythonGenerator) throws -> [UInt8] {
    func each<T: BitwiseCopyable>(_ next: () throws -> T) rethrows -> [UInt8] {
      bytes(try (0..<step.count).map { _ in try next() })
    }
    switch step.call {
    case "random": return each { generator.random() }
    case "uniform": return each { generator.uniform(step.number(0), step.number(1)) }
    case "gauss": return each { generator.gauss(mean: step.number(0), standardDeviation: step.number(1)) }
    case "getrandbits": return each { generator.randomBits(step.integer(0)) }
    case "randrange": return try each { try generator.randrange(step.integer(0), step.integer(1)) }
    case "sample": return bytes(try generator.sample(Array(0..<step.count), step.integer(0)))
    default:
      var elements = Array(0..<step.count)
      generator.shuffle(&elements)
      return bytes(elements)
    }
  }

  func stateBytes(_ state: PythonGenerator.State) -> [UInt8] {
    bytes(state.internalState) + bytes([state.gaussNext == nil ? 0 : 1]) + bytes([state.gaussNext ?? 0])
  }

  @Test(arguments: try SeedSequence.all(of: "python")) func againstPython(sequence: SeedSequence) throws {
    var generator: PythonGenerator
    if let seed = UInt64(sequence.seed) {
      generator = PythonGenerator(seed: seed)
    } else {
      generator = PythonGenerator(seed: try #require(Int64(sequence.seed)))
    }
    for (index, step) in sequence.steps.enumerated() {
      #expect(fnv(try draw(step, &generator)) == step.bytes, "step \(index): \(step.call) \(step.shape)")
      #expect(fnv(stateBytes(generator.state)) == step.state, "step \(index): the state")
      #expect(try PythonGenerator(state: generator.state) == generator)
    }
  }

  @Test func extremes() throws {
    var generator = PythonGenerator(seed: UInt64(1))
    #expect((0..<100).allSatisfy { _ in generator.randomBits(0) == 0 && generator.randomBits(-3) == 0 })
    #expect(generator == PythonGenerator(seed: Int64(-1)), "no bits draw nothing")
    #expect(try generator.randrange(.min, .max) < .max)
    #expect(try generator.sample([Int](), 0) == [])
  }

  /// `random.seed(5)`: `choices(range(77), k=5)`, `choices(range(1), k=2)`, `random()`.
  @Test func choices() throws {
    var generator = PythonGenerator(seed: Int64(5))
    #expect(try generator.choices(77, draws: 5) == [47, 57, 61, 72, 56])
    #expect(try generator.choices(1, draws: 2) == [0, 0])
    #expect(generator.random() == 0.46562265437810535)
    #expect(refusal { _ = try generator.choices(0, draws: 1) } == "there is nothing to choose from")
  }

  @Test func refusals() throws {
    var generator = PythonGenerator(seed: UInt64(0))
    #expect(refusal { _ = try generator.randrange(2, 2) } == "the range from 2 to below 2 is empty")
    #expect(refusal { _ = try generator.sample([1, 2], 3) } == "3 elements cannot be taken of 2")
    #expect(refusal { _ = try generator.sample([1, 2], -1) } == "-1 elements cannot be taken of 2")
    var state = generator.state
    state.version = 2
    #expect(
      refusal { _ = try PythonGenerator(state: state) }
        == "a state of version 2 is none of Python's generator, whose version is 3")
    #expect(refusal { _ = try PythonGenerator(state: .init(internalState: [], gaussNext: nil)) } != nil)
    #expect(
      refusal {
        _ = try PythonGenerator(state: .init(internalState: [UInt32](repeating: 1, count: 625), gaussNext: nil))
      }
        == nil)
    #expect(
      refusal {
        _ = try PythonGenerator(state: .init(internalState: [UInt32](repeating: 700, count: 625), gaussNext: nil))
      }
        == "the position 700 in a Mersenne Twister's words is not 0 to 624")
  }
}
