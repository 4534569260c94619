import Foundation
import ModelCore

/// Models and averages that `Tests/Fixtures/averages/make_averages.py` wrote: bits of float32, and integers.
struct Goldens {
  let models: [StateDict]
  private let averages: [String: [String: [Int64]]]

  init() throws {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let data = try Data(contentsOf: folder.appendingPathComponent("Fixtures/averages/averages.json"))
    let object = try JSONSerialization.jsonObject(with: data) as? [String: Any] ?? [:]
    func numbers(_ value: Any?) -> [String: [Int64]] {
      (value as? [String: [NSNumber]] ?? [:]).mapValues { $0.map(\.int64Value) }
    }
    models = try (object["models"] as? [Any] ?? []).map { try Self.state(numbers($0)) }
    averages = object.filter { $0.key != "models" }.mapValues(numbers)
  }

  static let order = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]

  private static func state(_ numbers: [String: [Int64]]) throws -> StateDict {
    var state = StateDict()
    for name in order {
      let values = numbers[name] ?? []
      state[name] =
        name == "num_batches_tracked"
        ? try Tensor(.int64, []) { $0.storeBytes(of: values[0], as: Int64.self) }
        : try Tensor(values.map { Float(bitPattern: UInt32(bitPattern: Int32($0))) })
    }
    return state
  }

  /// The names of tensors that are not the golden average's, bit for bit.
  func differences(_ average: StateDict, _ variant: String) throws -> [String] {
    let expected = try Self.state(averages[variant] ?? [:])
    return try Self.order.filter { name in
      guard let tensor = average[name], let golden = expected[name], tensor.dtype == golden.dtype else { return true }
      return try bytes(tensor) != bytes(golden)
    }
  }
}

func bytes(_ tensor: Tensor) throws -> [UInt8] { try tensor.withContiguousBytes { Array($0) } }
