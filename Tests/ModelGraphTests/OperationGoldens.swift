import Foundation
import ModelCore

@testable import ModelGraph

/// What PyTorch computes for an operation, from Goldens/operations.txt; make_operations.py made it.
struct OperationGolden: Sendable {
  var operands: [ReferenceArray] = []
  var results: [ReferenceArray] = []

  static let all: [String: OperationGolden] = {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Goldens/operations.txt")
    var goldens: [String: OperationGolden] = [:]
    var name = ""
    for line in (try? String(contentsOf: file, encoding: .utf8))?.split(separator: "\n") ?? [] {
      let words = line.split(separator: " ")
      switch words[0] {
      case ">": goldens[name]?.operands.append(array(words[1...]))
      case "<": goldens[name]?.results.append(array(words[1...]))
      default:
        name = String(line)
        goldens[name] = OperationGolden()
      }
    }
    return goldens
  }()

  private static func array(_ words: ArraySlice<Substring>) -> ReferenceArray {
    let shape = words[words.startIndex + 1].split(separator: ",").compactMap { Int($0) }
    return ReferenceArray(
      TensorType(DType(rawValue: String(words[words.startIndex])) ?? .float64, shape),
      words.dropFirst(2).compactMap { Double($0) })
  }
}
