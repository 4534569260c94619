import ArgumentParser
import ModelUtils
import SystemPackage

/// What a person names where a model is meant: a file, a YOLOv5-style YAML, or a built-in architecture.
enum ModelSource {
  static let help = help(more: "")

  static func help(more: String) -> ArgumentHelp {
    ArgumentHelp(
      stringLiteral:
        "The model's file (PyTorch, safetensors, ONNX), a YOLOv5-style .yaml, the name of a built-in architecture (yolov5n, resnet50, …), or - for standard input.\(more)"
    )
  }

  static let keyHelp = ArgumentHelp(
    "Which object in a PyTorch file is the model, such as 'ema' or 'a.b'.", valueName: "key")

  /// What stands for standard input, and for standard output.
  static let stream = "-"

  /// What comes through standard input, which can be read once.
  private static let standardInput = Result { try FileBytes(reading: .standardInput, name: "standard input") }

  /// The bytes of what is no folder of shards: of a file, or of standard input.
  static func bytes(_ model: String) throws -> FileBytes {
    model == stream ? try standardInput.get() : try FileBytes(mapping: FilePath(model))
  }

  /// What is to be built rather than read: a YAML or, where no file has that name, an architecture by name.
  static func architecture(_ model: String) throws -> Architecture? {
    guard exists(model) || model == stream else {
      if Architecture.names.contains(model) { return try Architecture(named: model) }
      if model.contains(where: { $0 == "/" || $0 == "." }) { return nil }
      let lowercased = model.lowercased()
      if let name = Architecture.names.first(where: { $0.lowercased() == lowercased }) {
        return try Architecture(named: name)
      }
      do { return try Architecture(named: model) } catch var error as ModelError {
        error.reason = "there is no file and no architecture of this name"
        throw error
      }
    }
    let isNamed = ["yaml", "yml"].contains(FilePath(model).extension?.lowercased())
    guard let file = try? bytes(model), isNamed || Architecture.recognizes(yaml: file) else {
      return nil
    }
    return try Architecture(yaml: file)
  }

  /// A file as an ONNX model, where it is one.
  static func onnx(_ model: String) throws -> ONNXModel? {
    if model == stream {
      let file = try bytes(model)
      return ONNXModel.recognizes(file) ? try ONNXModel(file) : nil
    }
    guard exists(model), try ONNXModel.stands(at: FilePath(model)) else { return nil }
    return try ONNXModel(contentsOf: FilePath(model))
  }

  /// Opens the file, or builds the architecture with the values that seed 0 gives.
  static func open(
    _ model: String, key: String? = nil, reading extent: Checkpoint.Extent = .all
  ) throws -> Checkpoint {
    guard let architecture = try architecture(model) else {
      var file = try self.file(model, key: key, reading: extent)
      if let name = file.recognizeFused() {
        ModelLog.logger.warning("\(model): a bare state dict, recognised as \(name), fused")
      }
      return file
    }
    guard key == nil else {
      throw ModelError(.invalid, "only PyTorch files have keys to choose from", file: architecture.name)
    }
    return Checkpoint(try architecture.module(), name: architecture.name)
  }

  /// Opens a file, or what comes through standard input.
  static func file(
    _ model: String, key: String? = nil, reading extent: Checkpoint.Extent = .all
  ) throws -> Checkpoint {
    if model == stream { return try Checkpoint(bytes(model), key: key, reading: extent) }
    guard !model.hasSuffix("/") || PictureFiles.isFolder(FilePath(model)) else {
      throw ModelError(.missing, "is no folder", file: model)
    }
    return try Checkpoint(contentsOf: FilePath(model), key: key, reading: extent)
  }

  private static func exists(_ path: String) -> Bool {
    // A path forgets what stands at its end.
    guard !path.hasSuffix("/") else { return PictureFiles.isFolder(FilePath(path)) }
    return (try? FileDescriptor.open(FilePath(path), .readOnly, options: [.nonBlocking]).close()) != nil
  }
}

extension Checkpoint {
  /// Does something with the file's models; an error names the file.
  func named<R>(_ body: () throws -> R) throws -> R {
    do { return try body() } catch let error as ModelError { throw error.inFile(name) }
  }

  /// The preferred model, where what it computes is known; tells what a bare state dict was taken for.
  func computableModule(_ report: TalkOptions) throws -> Module {
    if case .stateDict(let state) = preferred, let known = state.recognized() {
      report.note("a bare state dict, recognised as \(known.architecture.name)")
    }
    let module = try computableModule()
    let broken = try WeightCheck(module).findings.filter { $0.severity == .broken }
    if let first = broken.first {
      report.note(
        "\(broken.count) tensors hold NaN, infinity or variances below zero, such as '\(first.name.printable())', which ReLU and pools may hide (see mutils check)"
      )
    }
    return module
  }
}
