import Foundation
import ModelCore
import ModelRandom
import Testing

/// Sequences of calls of the original generators, from Tests/Fixtures/seeds/seeds.json; make_seeds.py made it.
struct SeedSequence: Decodable, Sendable, CustomTestStringConvertible {
  let generator: String
  let seed: String
  let steps: [Step]

  struct Step: Decodable, Sendable {
    let call: String
    let shape: [Int]
    let dtype: String?
    let numbers: [Double]?
    let integers: [Int]?
    let mode: String?
    let nonlinearity: String?
    /// FNV-1a of the result's bytes, and of the generator's state after the call.
    let bytes: String
    let state: String

    var count: Int { shape.reduce(1, *) }
    var type: DType { dtype.flatMap(DType.init(rawValue:)) ?? .float32 }
    func number(_ index: Int) -> Double { numbers?[index] ?? 0 }
    func integer(_ index: Int) -> Int { integers?[index] ?? 0 }
  }

  var testDescription: String { "\(generator) \(seed)" }

  static func all(of generator: String) throws -> [SeedSequence] {
    let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Fixtures/seeds/seeds.json")
    return try JSONDecoder().decode([SeedSequence].self, from: Data(contentsOf: url))
      .filter { $0.generator == generator }
  }
}

/// FNV-1a, 64 bits, in hexadecimal.
func fnv(_ bytes: some Sequence<UInt8>) -> String {
  var value: UInt64 = 0xcbf2_9ce4_8422_2325
  for byte in bytes { value = (value ^ UInt64(byte)) &* 0x100_0000_01b3 }
  let digits = String(value, radix: 16)
  return String(repeating: "0", count: 16 - digits.count) + digits
}

/// The bytes of numbers as they lie in memory.
func bytes<T: BitwiseCopyable>(_ elements: [T]) -> [UInt8] { elements.withUnsafeBytes { Array($0) } }
