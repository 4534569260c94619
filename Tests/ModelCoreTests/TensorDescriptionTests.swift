import Foundation
import ModelCore
import TestSupport
import Testing

/// Tensors in NumPy's words.
@Suite struct TensorDescriptionTests {
  struct Golden {
    let tensor: Tensor
    let text: String
  }

  /// From Goldens/descriptions.txt; make_descriptions.py made it.
  static func goldens() throws -> [Golden] {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Goldens/descriptions.txt")
    let blocks = try String(contentsOf: file, encoding: .utf8).components(separatedBy: "\n---\n").dropLast()
    return try blocks.map { block in
      let lines = block.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
      let parts = lines[0].split(separator: " ")
      let shape = parts[1] == "scalar" ? [] : parts[1].split(separator: "x").compactMap { Int($0) }
      let digits = parts[2] == "-" ? [] : Array(parts[2].utf8)
      let bytes = stride(from: 0, to: digits.count, by: 2).compactMap {
        UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)
      }
      let dtype = try #require(DType(rawValue: String(parts[0])))
      return Golden(tensor: try tensor(dtype, shape, bytes), text: String(lines[1]))
    }
  }

  @Test func numPysWords() throws {
    let goldens = try Self.goldens()
    #expect(goldens.count > 70)
    for golden in goldens {
      #expect(golden.tensor.description == golden.text, "\(golden.tensor.dtype.rawValue) \(golden.tensor.shape)")
    }
  }

  @Test func typesThatNumPyLacks() throws {
    #expect(try tensor(.bfloat16, [2], [0xc0, 0x3f, 0x80, 0x3f]).description == "[1.5 1. ]")
    #expect(try tensor(.complex64, [1], [UInt8](repeating: 0, count: 8)).description == "complex64 [1]")
    #expect(try tensor(.float4E2M1, [2], [0]).description == "float4_e2m1fn [2]")
  }

  @Test func whatCannotBeReadIsNotShown() throws {
    let failing = try Tensor(computed: .float32, [2]) { _ in throw ModelError(.system, "cannot be computed") }
    #expect(failing.description == "float32 [2]")
    #expect(try Tensor(.float32, [Int](repeating: 1, count: 65)).description.hasPrefix("float32 [1, 1"))
  }

  @Test func viewsShowTheirOwnElements() throws {
    let tensor = try Tensor([1, 2, 3, 4, 5, 6], [2, 3])
    #expect(try tensor.transposed().description == "[[1. 4.]\n [2. 5.]\n [3. 6.]]")
  }
}
