import ModelCheckpoints
import ModelCore
import ModelInspection
import ModelONNX
import ModelSurgery
import SystemPackage

/// Models' files, and what is done with them.
enum ModelTargets {
  static func pickle(_ bytes: [UInt8], _ folder: FilePath) throws {
    let path = folder.appending("pickle.pt")
    let file = try AtomicFile(replacing: path, expectedSize: bytes.count)
    var archive = ZipWriter(file)
    try archive.add("archive/data.pkl", bytes)
    try archive.add("archive/byteorder", Array("little".utf8))
    for key in 0..<8 { try archive.add("archive/data/\(key)", Array(numbers.prefix(64))) }
    try archive.add("archive/version", Array("3\n".utf8))
    try archive.finish()
    try file.commit()
    try use(FileBytes(mapping: path), folder)
  }

  static func checkpoint(_ bytes: [UInt8], _ folder: FilePath) throws {
    try use(FileBytes(name: "checkpoint", copying: bytes), folder)
  }

  static func safetensors(_ bytes: [UInt8], _ folder: FilePath) throws {
    let length = (0..<8).map { UInt8(truncatingIfNeeded: bytes.count >> (8 * $0)) }
    try use(FileBytes(name: "header", copying: length + bytes + numbers), folder)
  }

  static func index(_ bytes: [UInt8], _ folder: FilePath) throws {
    for name in ["a", "b"] {
      let path = folder.appending("\(name).safetensors")
      guard (try? FileBytes(mapping: path)) == nil else { continue }
      try Checkpoint(StateDict([name: Tensor([Float(1), 2], [2])])).write(to: path)
    }
    let path = folder.appending("model.safetensors.index.json")
    try write(bytes, to: path)
    let checkpoint = try Checkpoint(contentsOf: path)
    _ = try PickleAudit(contentsOf: path)
    try use(checkpoint, folder)
  }

  static func onnx(_ bytes: [UInt8], _ folder: FilePath) throws {
    let file = FileBytes(name: "model.onnx", copying: bytes)
    var model = try ONNXModel(file)
    _ = ONNXCheck(model)
    _ = try? ONNXInfo(model).summary
    _ = try attempt { try model.trace() }
    _ = try attempt { try model.stateDict() }
    _ = try attempt { try model.fuse() }
    let path = folder.appending("written.onnx")
    guard try attempt({ try model.write(to: path) }) != nil else { return }
    let again = try ONNXModel(contentsOf: path)
    require(again.graph.nodes.count == model.graph.nodes.count, "what is written has the nodes that it had")
    require(again.graph.initializers.map(\.name) == model.graph.initializers.map(\.name), "and its weights")
  }

  // MARK: Using

  /// The data of a safetensors file, and the first 64 bytes each storage of a pickle: sizes must fit to the byte.
  private static let numbers = (0..<256).map { UInt8(truncatingIfNeeded: $0 &* 37) & 0x7f }
  /// The most bytes of tensors that are computed with: one element may be repeated to any shape.
  private static let largest = 1 << 22

  private static func use(_ file: FileBytes, _ folder: FilePath) throws {
    let audited = try attempt { try PickleAudit(file) }
    let checkpoint = try Checkpoint(file)
    let isPickled = [.torch, .torchLegacy, .torchScript].contains(checkpoint.format)
    require(audited != nil || !isPickled, "a file of pickles that can be read can be audited")
    try use(checkpoint, folder)
  }

  private static func use(_ checkpoint: Checkpoint, _ folder: FilePath) throws {
    for (_, model) in checkpoint.models {
      let sizes = model.stateDict().tensors.values.map { $0.shape.reduce(1.0) { $0 * Double($1) } }
      _ = model.modelInfo(imageSize: (32, 32)).summary(.thop)
      guard sizes.reduce(0, +) <= Double(largest) else { return }
      _ = try attempt { try WeightCheck(model) }
      _ = try attempt { try model.sparsity() }
    }
    if case .stateDict(let state) = checkpoint.preferred { _ = state.recognized() }
    for (ending, isStateDict) in [("safetensors", true), ("pt", false), ("pt", true)] {
      let path = folder.appending("written.\(ending)")
      guard try attempt({ try checkpoint.write(to: path, stateDictOnly: isStateDict) }) != nil else { continue }
      let again = try Checkpoint(contentsOf: path)
      require(!again.models.isEmpty, "what is written is a model")
    }
    var changed = checkpoint
    _ = try attempt { try changed.updateModels { _, model in _ = try model.prune(amount: 0.3) } }
    _ = try attempt { try changed.updateModels { _, model in _ = try model.fuse() } }
    _ = try attempt { try changed.write(to: folder.appending("changed.pt")) }
  }
}

/// What a body gives; nil where it refuses.
func attempt<Result>(_ body: () throws -> Result) throws -> Result? {
  do { return try body() } catch is ModelError { return nil }
}

func write(_ bytes: [UInt8], to path: FilePath) throws {
  let file = try AtomicFile(replacing: path, expectedSize: bytes.count)
  try bytes.withUnsafeBytes { try file.write($0) }
  try file.commit()
}
