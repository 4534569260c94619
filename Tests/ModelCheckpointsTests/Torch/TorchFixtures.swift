import Foundation
import ModelCheckpoints
import ModelCore
import SystemPackage
import TestSupport
import Testing

/// Files made by PyTorch (Tests/Fixtures/make_fixtures.py) and what each must be read as.
enum TorchFixtures {
  static let folder = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
    .appending("Fixtures")

  static func path(_ name: String) -> FilePath { folder.pushing(FilePath(name)) }

  static func map(_ name: String) throws -> FileBytes { try FileBytes(mapping: path(name)) }

  static func bytes(_ name: String) throws -> [UInt8] { try map(name).array }

  static func golden(_ name: String) throws -> Golden {
    try JSONDecoder().decode(Golden.self, from: Data(contentsOf: URL(fileURLWithPath: path(name + ".json").string)))
  }

  /// Every PyTorch file there whose tensors are written down.
  static let readable = [
    "big_endian.pt", "conv_bn_small.pt", "dtypes.pt", "float8.pt", "legacy.pt", "legacy_module.pt",
    "nested_model_state_dict.pt", "nested_net.pt", "nested_state_dict.pt", "protocol0.pt", "protocol1.pt",
    "protocol2.pt", "protocol3.pt", "protocol4.pt", "protocol5.pt", "storages.pt", "torchscript.pt",
    "training_checkpoint.pt", "trap_activation_between.pt", "trap_bn_first.pt", "trap_bn_twice_after_relu.pt",
    "trap_channels_differ.pt", "trap_conv_twice.pt", "trap_no_statistics.pt", "trap_pad_between.pt",
    "trap_pool_between.pt", "trap_weight_twice.pt", "unsafe_eval.pt", "yolov5_blocks.pt", "yolov5_blocks_fused.pt",
    "yolov5_tiny.pt", "yolov5_tiny_fused.pt",
  ]
}

struct Golden: Decodable {
  struct Record: Decodable {
    let name: String
    let dtype: String
    let shape: [Int]
    let sha256: String
  }

  struct Part: Decodable { let tensors: [Record] }

  let tensors: [Record]?
  let shared: [[String]]?
  let model: Part?
  let key: String?
  let refused: Bool?
}

/// Compares tensors with what is written down: names in order, types, shapes, values.
func expectTensors(
  _ state: StateDict, _ records: [Golden.Record], ordered: Bool = true,
  sourceLocation: SourceLocation = #_sourceLocation
) throws {
  if ordered {
    #expect(Array(state.names) == records.map(\.name), sourceLocation: sourceLocation)
  } else {
    #expect(state.names.sorted() == records.map(\.name).sorted(), sourceLocation: sourceLocation)
  }
  for record in records {
    let tensor = try #require(state[record.name], sourceLocation: sourceLocation)
    #expect(tensor.dtype.rawValue == record.dtype, "\(record.name)", sourceLocation: sourceLocation)
    #expect(tensor.shape == record.shape, "\(record.name)", sourceLocation: sourceLocation)
    #expect(SHA256.hash(try tensor.bytes()) == record.sha256, "\(record.name)", sourceLocation: sourceLocation)
  }
}

/// The groups of names that look into one storage.
func sharing(_ state: StateDict) -> [[String]] {
  var groups: OrderedDictionary<ObjectIdentifier, [String]> = [:]
  for (name, tensor) in state.tensors where tensor.storage.byteCount > 0 {
    groups[ObjectIdentifier(tensor.storage), default: []].append(name)
  }
  return groups.values.filter { $0.count > 1 }
}
